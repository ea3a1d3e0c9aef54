"""How long a network takes beside its parent, measured while it is being made: one thread, calls in turn.

What it gives depends on the machine and on the minute: a row that uses it cannot be repeated bit for bit. The bench
step measures again, of all rows at once.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, NamedTuple

import numpy as np

from tasks.core.contract import Data, Network
from tasks.core.export import LOGITS, export, session

Call = Callable[[], object]
ROUNDS = 25
CALLS_MIN = 3
VISIT_MS = 10.0


class Latency(NamedTuple):
    """Median milliseconds of a call to parent and candidate, and the median over rounds of candidate over parent."""

    parent_ms: float
    candidate_ms: float
    ratio: float


class Race:
    """Candidates against one parent, on the same rows of `val`, in ONNX Runtime."""

    def __init__(self, parent: Network, data: Data, batch: int) -> None:
        rows = np.arange(batch) % len(data.split("val"))
        self.data = data
        self.feed: dict[str, Any] = {n: np.ascontiguousarray(x[rows]) for n, x in data.split("val").inputs.items()}
        self.parent = self._call(parent)

    def run(self, candidate: Network, rounds: int = ROUNDS) -> Latency:
        """Export `candidate` and measure it."""
        return compare(self.parent, self._call(candidate), rounds)

    def _call(self, network: Network) -> Call:
        opened, feed = session(export(network, self.data)), self.feed
        return lambda: opened.run([LOGITS], feed)


def compare(parent: Call, candidate: Call, rounds: int) -> Latency:
    """Both in turn, `rounds` times after a warm-up, the other one first each time."""
    visit(parent), visit(candidate)
    medians: list[tuple[float, float]] = []
    for k in range(rounds):
        if k % 2:
            late = visit(candidate)
            medians.append((visit(parent), late))
        else:
            medians.append((visit(parent), visit(candidate)))
    times = np.array(medians)
    parent_ms, candidate_ms = np.median(times, axis=0)
    return Latency(float(parent_ms), float(candidate_ms), float(np.median(times[:, 1] / times[:, 0])))


def visit(call: Call) -> float:
    """Call again and again for `VISIT_MS`, at least `CALLS_MIN` times; the median milliseconds of a call."""
    times: list[int] = []
    end = perf_counter_ns() + int(VISIT_MS * 1e6)
    while len(times) < CALLS_MIN or perf_counter_ns() < end:
        start = perf_counter_ns()
        call()
        times.append(perf_counter_ns() - start)
    return float(np.median(times)) / 1e6
