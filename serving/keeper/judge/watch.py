"""Evidence that begins anew again and again, so that harm is found as soon after a month as on the first day.

Counts that were good for long would outweigh harm that begins today. So the same e-process is started anew every
minute, and the watch holds their sum, with weights that add up to 1: it is an e-process too, whatever number of starts
there will be. (The e-detector of Shin, Ramdas and Rinaldo, arXiv:2203.03532, sums without weights: sooner, but its
false alarms are bounded in frequency and not once for all.) A start in minute m costs about log(m) + 2 log log(m) nats.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log, log2
from typing import Any

import numpy as np

from serving.keeper.judge.share import log_sum

Array = np.ndarray[Any, Any]
Evidence = Callable[[Array], Array]
EVERY_S = 60.0
STARTS_MAX = 64  # leaving one out only lowers the sum, so the least goes first


def weight(period: int) -> float:
    """Of what begins in `period` 0, 1, ...: positive, and 1 in sum over all of them."""
    return 1 / log2(period + 2) - 1 / log2(period + 3)


class Watch:
    """One e-process with many starts. Counts are sums from the beginning: (C,), or (R, C) for R runs at once."""

    def __init__(self, evidence: Evidence, alpha: float) -> None:
        """`evidence` takes counts (..., C) since a start and gives its log (...); `alpha` bounds false alarms."""
        self._evidence, self._enough = evidence, log(1 / alpha)
        self._starts: Array | None = None
        self._weights = np.zeros(0)
        self._last: Array | None = None
        self._period = 0

    def see(self, counts: Array, period: int) -> Array:
        """How far the evidence is, (...): at least 1 = enough to reject the claim. `period` counts minutes.

        Counts that fell were lost: what was known of them is given up, and all begins anew where they stand.
        """
        if self._starts is None or self._last is None:
            self._starts, self._weights = np.zeros((1, *counts.shape)), np.array([log(0.5)])
        elif (counts < self._last).any():
            self._starts, self._weights = counts[None], np.array([self._of(max(period, self._period))])
        if period > self._period:
            self._starts = np.concatenate([self._starts, counts[None]])
            self._weights = np.append(self._weights, self._of(period))
        self._period, self._last = max(period, self._period), counts
        return self._sum(counts) / self._enough

    def _of(self, period: int) -> float:
        """Log of the weight of a later start: one half is the first one's."""
        return log(0.5 * weight(max(period, 1) - 1))

    def _sum(self, counts: Array) -> Array:
        assert self._starts is not None, "see() has made the first"
        shape = (-1, *(1 for _ in counts.shape[:-1]))
        logs = self._weights.reshape(shape) + self._evidence(counts - self._starts)
        if len(self._starts) > STARTS_MAX:
            kept = np.arange(len(logs)) != logs.reshape(len(logs), -1).max(axis=1).argmin()
            self._starts, self._weights, logs = self._starts[kept], self._weights[kept], logs[kept]
        return log_sum(logs, 0)
