"""What a request costs: FastAPI, BentoML and MLServer as they come, and Stillroom with all that it does, side by side.

    python benchmarks/service.py --rounds 10 --mlserver /path/to/its/venv/bin/python > table.md

Every server runs the same network (benchmarks/peers/network.py) on one thread in one worker, and all run at once; one
at a time is asked, each in every round, in shuffled order. The main figure is the processor time of the server's
processes a request: on a shared machine other work disturbs it least. Ratios are of a round's own figures to the
reference's in the same round: their median, and a 95 % bootstrap interval of it.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.ways import AB, EXTRA, REFERENCE, Way, ways
from tasks.capacity.closed_loop import Address
from tasks.capacity.sweep import one


@dataclass(frozen=True)
class Taken:
    """One way in one round."""

    cpu_ms: float  # of the server's processes, a request
    per_s: float
    p95_ms: float
    failed: int


def measure(way: Way, concurrency: int, seconds: float) -> Taken:
    """Ask one server for a while."""
    found = one(Address("127.0.0.1", way.server.port), way.posts, concurrency, seconds, way.server.pid)
    answered = len(found.taken.latencies_s)
    if not answered:
        sys.exit(f"{way.name}: nothing was answered: {dict(found.taken.failed)}")
    p95 = float(np.percentile(found.taken.latencies_s, 95)) * 1000
    return Taken(found.server_cpu_s / answered * 1000, answered / found.taken.window_s, p95, found.taken.failed.total())


def interval(ratios: np.ndarray[Any, Any]) -> str:
    """The median with the 95 % interval of 2000 resamples."""
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(ratios, (2000, len(ratios))), axis=1)
    low, high = np.percentile(medians, (2.5, 97.5))
    return f"{np.median(ratios):.2f} [{low:.2f}, {high:.2f}]"


def table(taken: dict[str, list[Taken]], reference: str) -> str:
    """Markdown; ratios are to one of the rows."""
    lines = ["| | CPU ms a request | CPU ratio | requests/s ratio | p95 ratio | failed |", "| --- " * 6 + "|"]
    base = {key: np.array([getattr(t, key) for t in taken[reference]]) for key in ("cpu_ms", "per_s", "p95_ms")}
    for name, rounds in taken.items():
        own = {key: np.array([getattr(t, key) for t in rounds]) for key in base}
        ratios = " | ".join(interval(own[key] / base[key]) for key in base)
        lines.append(f"| {name} | {np.median(own['cpu_ms']):.3f} | {ratios} | {sum(t.failed for t in rounds)} |")
    return "\n".join(lines)


def main() -> None:
    """Start, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each server in each round")
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--mlserver", type=Path, help="the interpreter of an environment with mlserver and onnxruntime")
    parser.add_argument("--only", nargs="*", choices=list(EXTRA), help="these rows of ours beside the reference")
    given = parser.parse_args()
    shuffle = random.Random(0)
    with tempfile.TemporaryDirectory() as root, ways(Path(root), given.mlserver, given.only) as found:
        taken: dict[str, list[Taken]] = {way.name: [] for way in found}
        for turn in range(given.rounds):
            for way in shuffle.sample(found, len(found)):
                taken[way.name].append(measure(way, given.concurrency, given.seconds))
            print(f"round {turn + 1} of {given.rounds}", file=sys.stderr, flush=True)
    print(table(taken, REFERENCE))
    shadows = {name: rounds for name, rounds in taken.items() if AB in name or "shadow" in name}
    if AB in shadows and len(shadows) > 1:
        print("\n" + table(shadows, AB))


if __name__ == "__main__":
    main()
