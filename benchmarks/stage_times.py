"""What timing the parts of a request costs it: processor time with the histograms of the parts, and without.

    python -m benchmarks.stage_times

A request of one row of 28 x 28 pixels as JSON, from its body to its answer, in process, by the MLP of
benchmarks/service.py; prometheus_client keeps its figures in files, as it does in a worker. Without: three histograms
that drop what they are told; the four looks at the clock are in both, and are timed by themselves.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson

ROUNDS, CALLS = 41, 400


class Nothing:
    """In a histogram's place."""

    def observe(self, _: float) -> None:
        """Drop it."""


def per_call_us(work: Callable[[], object]) -> float:
    """Processor microseconds."""
    began = time.process_time()
    for _ in range(CALLS):
        work()
    return (time.process_time() - began) / CALLS * 1e6


def main() -> None:
    """Measure, and print."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp()  # before the first import of prometheus_client
    from benchmarks.peers import network
    from benchmarks.service import interval
    from serving import metrics
    from serving.answer import Case, whole
    from serving.engine import Engine
    from serving.live import Live
    from serving.package import read
    from serving.predict import Predict
    from serving.shadow import Shadow
    from serving.shapes import Shadow as Settings

    live = Live.of(Engine(read(network.package(Path(tempfile.mkdtemp()) / "package"))))
    body = orjson.dumps({"inputs": network.pictures(1).tolist()})
    form, shadow = Predict(), Shadow(Settings(share=0))
    timed, nothing = metrics.of("control"), Nothing()
    plain = timed._replace(wait=nothing, decode=nothing, encode=nothing)  # type: ignore[arg-type]

    def request() -> object:
        return whole(Case(live, form, {}, body, "control", time.perf_counter()), shadow)

    ways = {"with": timed, "without": plain}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    known, shuffle = metrics.of, random.Random(0)
    for _ in range(ROUNDS):
        for name in shuffle.sample(sorted(ways), len(ways)):
            metrics.of = lambda _, way=ways[name]: way  # type: ignore[assignment,misc]
            taken[name].append(per_call_us(request))
    metrics.of = known
    clock = 4 * np.median([per_call_us(time.perf_counter) for _ in range(ROUNDS)])
    ours, theirs = np.array(taken["with"]), np.array(taken["without"])
    print(f"a request: {np.median(theirs):.1f} us without; ratio with: {interval(ours / theirs)};"
          f" difference, us: {interval(ours - theirs)}; four looks at the clock: {clock:.2f} us")  # fmt: skip


if __name__ == "__main__":
    main()
