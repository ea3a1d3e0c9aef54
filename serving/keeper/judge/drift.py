"""How far live counts are from the reference's, bin by bin, and how far chance alone could take them.

PSI is the symmetric Kullback-Leibler divergence of the binned shares; under no drift it is (1/n + 1/m) times a
chi-square of B - 1 degrees (Yurdakul 2018, Statistical properties of the population stability index), bounded here as
by Laurent and Massart (2000, Adaptive estimation of a quadratic functional by model selection, lemma 1). KS is the
greatest distance of the two cumulated shares, bounded with Massart's constant 2 (for two samples: Wei and Dudley 2012,
arXiv:1107.5356, who prove it for equal sizes from 458 on, compute it for many unequal ones, and conjecture the rest);
over bins it is at most what it is over values. B = bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import Any

import numpy as np

from serving.keeper.judge.watch import weight

Array = np.ndarray[Any, Any]
LEAST_ROWS = 5.0  # expected in a bin of the smaller sample: bins with fewer are put together


@dataclass(frozen=True)
class Distance:
    """Of `rows` live rows to the reference; what chance alone exceeds with the probability that was asked for."""

    rows: int
    psi: float
    psi_chance: float
    ks: float = 0.0
    ks_chance: float = 0.0

    def beyond(self, psi: float, ks: float) -> bool:
        """Whether it is beyond a limit, and beyond chance."""
        return self.psi > max(psi, self.psi_chance) or self.ks > max(ks, self.ks_chance)


def distance(reference: Array, live: Array, alpha: float, *, ordered: bool) -> Distance:
    """Of live counts (B,) to the reference's (B,). Each chance bound is exceeded with probability about `alpha`.

    Args:
        reference: At least one row in all.
        live: The same.
        alpha: Of false alarms.
        ordered: Whether the bins are in order: KS means nothing for labels, and is 0.
    """
    n, m, x = int(live.sum()), int(reference.sum()), log(1 / alpha)
    noise = 1 / n + 1 / m
    expected, found = together(reference, live)
    d = len(expected) - 1
    chance = noise * (d + 2 * sqrt(d * x) + 2 * x)
    if not ordered:
        return Distance(n, psi(expected, found), chance)
    return Distance(n, psi(expected, found), chance, ks(reference, live), sqrt((log(2) + x) / 2 * noise))


def psi(reference: Array, live: Array) -> float:
    """Population stability index of two vectors of counts (B,), each bin half a row fuller, so that none is empty."""
    p, q = ((counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (reference, live))
    return float(((q - p) * np.log(q / p)).sum())


def ks(reference: Array, live: Array) -> float:
    """Greatest distance of the cumulated shares of two vectors of counts (B,)."""
    return float(np.abs(np.cumsum(reference) / reference.sum() - np.cumsum(live) / live.sum()).max())


def together(reference: Array, live: Array) -> tuple[Array, Array]:
    """Both with neighbouring bins put together until the pooled shares expect LEAST_ROWS of the smaller sample in each.

    The pooled ones, so that a bin that only live rows fall into stays a bin.
    """
    pooled = (reference + live) * (min(reference.sum(), live.sum()) / (reference.sum() + live.sum()))
    groups, group, filled = np.zeros(len(pooled), np.int64), 0, 0.0
    for i, expected in enumerate(pooled):
        groups[i] = group
        filled += expected
        if filled >= LEAST_ROWS:
            group, filled = group + 1, 0.0
    groups = np.minimum(groups, max(group - 1, 0))  # what is left over joins the last full one
    return np.bincount(groups, weights=reference), np.bincount(groups, weights=live)


class Window:
    """The latest `rows_min` live rows or more of one feature against the reference; one verdict a minute at most.

    So the chance of any false alarm, ever, is at most alpha: verdict in minute m has alpha times its `weight`.
    """

    def __init__(self, reference: Array, rows_min: int, alpha: float, *, ordered: bool) -> None:
        self._reference, self._rows_min, self._alpha, self._ordered = reference, rows_min, alpha, ordered
        self._begin = np.zeros(len(reference), np.int64)
        self._period = -1
        self.bins = len(reference)
        self.distance: Distance | None = None

    def see(self, counts: Array, period: int) -> bool:
        """Take sums from the beginning (B,); True where they close a window, whose verdict is `distance`."""
        if (counts < self._begin).any():
            self._begin = counts
        live = counts - self._begin
        if period <= self._period or live.sum() < self._rows_min:
            return False
        alpha = self._alpha * weight(period)
        self.distance = distance(self._reference, live, alpha, ordered=self._ordered)
        self._begin, self._period = counts, period
        return True
