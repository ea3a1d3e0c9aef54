"""What a request costs: FastAPI, BentoML and MLServer as they come, and Stillroom with all that it does, side by side.

    python benchmarks/service.py --rounds 10 --mlserver /path/to/its/venv/bin/python > table.md

Every server runs the same network (benchmarks/peers/network.py) on one thread in one worker, and all run at once; one
at a time is asked, each in every round, in shuffled order. The main figure is the processor time of the server's
processes a request: on a shared machine other work disturbs it least. Ratios are of a round's own figures to the
reference's in the same round: their median, and a 95 % bootstrap interval of it. Requests/s and p95 are medians of the
rounds. Under a table of shadows stands what became of the rows that they were given, warm-up included.
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

from benchmarks.peers.shadow_rows import ShadowRows, shadow_rows
from benchmarks.peers.ways import AB, EXTRA, REFERENCE, Way, ways
from tasks.capacity.closed_loop import Address
from tasks.capacity.sweep import one

FORMS = {"cpu_ms": ".3f", "per_s": ",.0f", "p95_ms": ".2f"}  # a Taken's figures, and how they are printed


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
    heads = ("", "CPU ms a request", "CPU ratio", "requests/s", "ratio", "p95 ms", "ratio", "failed")
    lines = [f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    base = {key: np.array([getattr(t, key) for t in taken[reference]]) for key in FORMS}
    for name, rounds in taken.items():
        own = {key: np.array([getattr(t, key) for t in rounds]) for key in base}
        figures = (f"{np.median(own[key]):{form}} | {interval(own[key] / base[key])}" for key, form in FORMS.items())
        lines.append(f"| {name} | {' | '.join(figures)} | {sum(t.failed for t in rounds)} |")
    return "\n".join(lines)


def shadowed(found: dict[str, ShadowRows]) -> str:
    """What became of the rows that each server's shadow was given, a line a server."""
    return "\n".join(
        f"{name}: {rows.compared:.0f} rows compared, {rows.dropped:.0f} dropped, {rows.failed:.0f} failed"
        for name, rows in found.items()
    )


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
        rows = {way.name: shadow_rows(way.server.port) for way in found if "shadow" in way.name}
    print(table(taken, REFERENCE))
    shadows = {name: rounds for name, rounds in taken.items() if AB in name or "shadow" in name}
    if AB in shadows and len(shadows) > 1:
        print("\n" + table(shadows, AB))
    if rows:
        print("\n" + shadowed(rows))


if __name__ == "__main__":
    main()
