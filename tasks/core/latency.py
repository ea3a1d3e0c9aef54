"""How long a network takes beside its parent, measured while it is being made: one thread, calls in turn.

What it gives depends on the machine and on the minute: a row that uses it cannot be repeated bit for bit. The bench
step measures again, of all rows at once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tasks.core.contract import Data, Network
from tasks.core.export import LOGITS, export, session
from tasks.core.timing import Call, measure, round_ratios

ROUNDS = 25
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
    """Both in turn, `rounds` times after a warm-up, in shuffled order."""
    taken = measure({"parent": parent, "candidate": candidate}, rounds, VISIT_MS, seed=0)
    parent_ms, candidate_ms = (float(np.median([np.median(each) for each in taken[name]])) for name in taken)
    return Latency(parent_ms, candidate_ms, float(np.median(round_ratios(taken["candidate"], taken["parent"]))))
