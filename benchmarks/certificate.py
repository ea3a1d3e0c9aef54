"""The speed-up certificate against a naive mean of 20 calls, on a quiet machine and under deliberate load.

    python benchmarks/certificate.py FOLDER VARIANT REFERENCE [--repeats 100] [--load]

FOLDER holds artifacts/ of a run. Two questions. **Itself**: VARIANT's file raced against itself, again and again; how
often does the interval hold 1, that of the typical call and that of p95, and how often does each method claim a
difference that is none? **The pair**: VARIANT against REFERENCE; how far apart are the answers of the repeats? The
naive mean is what a notebook does: open both, 20 calls of one, 20 calls of the other, quotient of the means; it has no
interval, and here it claims a difference beyond 2 %. Also asked: the same rounds pinned to no processor, and the
interval over one pair of sessions that stays open (`LOG.md` says why that fails). `--load` has another process compute
and rest in turns of random length on as many processors as there are.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import perf_counter

import numpy as np

from tasks.core import artifact
from tasks.core.dataset import read_data
from tasks.core.findings import Interval
from tasks.core.median import median_interval
from tasks.core.race import Laps, Opener, race
from tasks.core.tails import tail_ratio
from tasks.core.timing import Call, no_garbage_collection, round_ratios, visit
from tasks.evidence.engines import caller, open_model
from tasks.evidence.noise import Watch
from tasks.evidence.pin import pinned
from tasks.evidence.session import feeds_of
from tasks.evidence.standing import RATIOS, confidence_for

LOAD = """
import random, time
draw = random.Random(0)
while True:
    end = time.perf_counter() + draw.expovariate(5)
    while time.perf_counter() < end: pass
    time.sleep(draw.expovariate(5))
"""
ROUNDS, ROUND_MS, WARM_UP_MS, NAIVE_CALLS, NAIVE_CLAIM = 30, 5.0, 50.0, 20, 0.02
CONFIDENCE = confidence_for(RATIOS)  # of the smallest plan: one variant at one batch size


@contextlib.contextmanager
def load(wanted: bool) -> Iterator[None]:
    """Processes that compute and rest, one a processor, for as long as it lasts."""
    count = len(os.sched_getaffinity(0)) if wanted else 0
    busy = [subprocess.Popen([sys.executable, "-c", LOAD.replace("(0)", f"({k})")]) for k in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def opener(name: str) -> Opener:
    """Opens a variant on one thread, for batch 1."""
    feeds = feeds_of(read_data(artifact.DATA).split("val"), 1)
    path = artifact.variant_folder(name) / "model.onnx"
    return lambda: [caller(open_model("onnxruntime", path, 1), feeds)]


def certificate(a: Opener, b: Opener, seed: int) -> dict[str, Interval]:
    """Both intervals as `bench` has them, and the first where nothing is pinned; all repeats have as many rounds."""

    def go_on(laps: Mapping[str, Laps]) -> bool:
        return laps["a"].rounds < ROUNDS

    wanders = race({"a": a, "b": b}, 1, ROUND_MS, seed, go_on)
    with pinned(1):
        laps = race({"a": a, "b": b}, 1, ROUND_MS, seed, go_on)
    calls = laps["a"].calls_ms[0], laps["b"].calls_ms[0]
    ratios = round_ratios(*calls), round_ratios(wanders["a"].calls_ms[0], wanders["b"].calls_ms[0])
    typical, loose = (median_interval(each, CONFIDENCE) for each in ratios)
    return {
        "certificate": typical,
        "certificate, p95": tail_ratio(*calls, 95, CONFIDENCE),
        "certificate, not pinned": loose,
    }


def stays_open(a: Opener, b: Opener, seed: int) -> Interval:
    """The same rounds over sessions that are opened once."""
    calls, shuffle = {"a": a()[0], "b": b()[0]}, random.Random(seed)
    order, taken = list(calls), {name: list[np.ndarray]() for name in calls}
    with no_garbage_collection():
        for call in calls.values():
            visit(call, WARM_UP_MS)
        for _ in range(ROUNDS):
            shuffle.shuffle(order)
            for name in order:
                taken[name].append(visit(calls[name], ROUND_MS))
    return median_interval(round_ratios(taken["a"], taken["b"]), CONFIDENCE)


def naive(a: Opener, b: Opener) -> float:
    """Mean of 20 calls over mean of 20 calls, one after the other, after one call to warm up."""

    def mean(call: Call) -> float:
        call()
        start = perf_counter()
        for _ in range(NAIVE_CALLS):
            call()
        return perf_counter() - start

    return mean(a()[0]) / mean(b()[0])


def line(name: str, estimates: np.ndarray, claims: np.ndarray, covered: str) -> str:
    """A row of the table: the spread of the repeats is their 5th to 95th percentile, and the farthest."""
    low, mid, high = np.percentile(estimates, (5, 50, 95))
    far = estimates[np.argmax(np.abs(np.log(estimates / mid)))]
    return f"| {name} | {covered} | {claims.sum()} of {len(claims)} | {mid:.3f} | {low:.3f} to {high:.3f} | {far:.3f} |"


def table(a: Opener, b: Opener, repeats: int, truth: float | None) -> list[str]:
    """All methods in turn, so that they meet the same machine. `truth`: what the interval should hold."""
    intervals: dict[str, list[Interval]] = {}
    means = []
    for seed in range(repeats):
        for name, one in {**certificate(a, b, seed), "sessions stay open": stays_open(a, b, seed)}.items():
            intervals.setdefault(name, []).append(one)
        means.append(naive(a, b))
    lines = []
    for name, found in intervals.items():
        held = "" if truth is None else f"{sum(i.low <= truth <= i.high for i in found)} of {repeats}"
        claims = np.array([not i.low <= 1 <= i.high for i in found])
        lines.append(line(name, np.array([i.value for i in found]), claims, held))
    naives = np.array(means)
    return [*lines, line("mean of 20 calls", naives, np.abs(naives - 1) > NAIVE_CLAIM, "no interval")]


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("variant")
    parser.add_argument("reference")
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--load", action="store_true")
    given = parser.parse_args()
    os.chdir(given.folder)
    head = ["method", "holds the truth", "claims a difference", "median", "5 to 95 % of repeats", "farthest"]
    with load(given.load):
        watch = Watch()
        for title, other, truth in (("itself", given.variant, 1.0), (given.reference, given.reference, None)):
            print(f"\n{given.variant} against {title}, {given.repeats} repeats{', under load' if given.load else ''}\n")
            print("| " + " | ".join(head) + " |\n|" + " --- |" * len(head))
            print("\n".join(table(opener(given.variant), opener(other), given.repeats, truth)), flush=True)
            watch.tick()
        print(f"\nnoise: {watch.read().disturbances or 'none'}")


if __name__ == "__main__":
    main()
