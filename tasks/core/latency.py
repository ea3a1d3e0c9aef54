"""How long a network takes beside its parent, measured while it is being made: one thread, both opened anew in turn.

It is the race that the bench step runs (tasks.core.race), of two. What it gives depends on the machine and on the
minute: a row that uses it cannot be repeated bit for bit. The bench step measures again, of all rows at once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tasks.core.contract import Data, Network
from tasks.core.export import LOGITS, export, session
from tasks.core.findings import Interval
from tasks.core.median import median_interval
from tasks.core.race import Opener, race
from tasks.core.timing import round_ratios

ROUNDS = 25
VISIT_MS = 10.0


class Latency(NamedTuple):
    """Median milliseconds of a call to parent and candidate; the ratio of the rounds, candidate over parent, 95 %."""

    parent_ms: float
    candidate_ms: float
    ratio: Interval


class Race:
    """Candidates against one parent, on the same rows of `val`, in ONNX Runtime."""

    def __init__(self, parent: Network, data: Data, batch: int) -> None:
        rows = np.arange(batch) % len(data.split("val"))
        self.data = data
        self.feed: dict[str, Any] = {n: np.ascontiguousarray(x[rows]) for n, x in data.split("val").inputs.items()}
        self.parent = self._opener(parent)

    def run(self, candidate: Network, rounds: int = ROUNDS) -> Latency:
        """Export `candidate` and measure it."""
        return compare(self.parent, self._opener(candidate), rounds)

    def _opener(self, network: Network) -> Opener:
        proto, feed = export(network, self.data), self.feed

        def opened() -> list[Any]:
            session_ = session(proto)
            return [lambda: session_.run([LOGITS], feed)]

        return opened


def compare(parent: Opener, candidate: Opener, rounds: int) -> Latency:
    """Both in turn, opened anew in each of `rounds`, at least 6 for an interval of 95 %."""
    openers = {"parent": parent, "candidate": candidate}
    laps = race(openers, 1, VISIT_MS, 0, lambda laps: laps["parent"].rounds < rounds)
    taken = {name: laps[name].calls_ms[0] for name in openers}
    parent_ms, candidate_ms = (float(np.median([np.median(each) for each in taken[name]])) for name in openers)
    return Latency(parent_ms, candidate_ms, median_interval(round_ratios(taken["candidate"], taken["parent"])))
