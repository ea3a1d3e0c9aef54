"""Whether a share (of slow answers, of disagreements, of errors) is above or below a limit, judged at every look.

Each function gives the logarithm of an e-process: the likelihood ratio of other shares to the limit, averaged over a
fixed grid of them. A ratio on the far side of the limit shrinks on average for every share on the near side, so the
claim may be "at most" or "at least" the limit. The mixture is Robbins' (1970, Statistical methods related to the law of
the iterated logarithm); its use on live traffic is that of Johari, Pekelis and Walsh (2015, Always valid inference,
arXiv:1512.04922). It counts rows as independent: users who send the same row again and again are counted each time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
STEPS = 0.999 * 2.0 ** (-0.5 * np.arange(20))  # of the way from the limit to 0 or 1: large effects and small ones alike

POINTS, ROUNDS = 40, 5  # in which a bound is looked for: 40 to the power of 5 places
LEAST = 1e-9
Evidence = Callable[[Array, Array, Array], Array]


def above(count: Array, rows: Array, limit: Array | float) -> Array:
    """Log of the evidence against "the share is at most `limit`"; 0 where there are no rows. Shapes as `count`."""
    limits = np.asarray(limit)[..., None]
    return _mixed(count, rows, limits, limits + (1 - limits) * STEPS)


def below(count: Array, rows: Array, limit: Array | float) -> Array:
    """Log of the evidence against "the share is at least `limit`"."""
    limits = np.asarray(limit)[..., None]
    return _mixed(count, rows, limits, limits * (1 - STEPS))


def at(count: Array, rows: Array, limit: float, other: float) -> Array:
    """As `above`, betting all on the one share `other` > `limit`: soonest where the share is at least that.

    Wald 1945, Sequential tests of statistical hypotheses.
    """
    assert 0 < limit < other < 1, "a bet on the wrong side proves nothing"
    found: Array = count * np.log(other / limit) + (rows - count) * np.log((1 - other) / (1 - limit))
    return found


def bounds(count: int, rows: int, alpha: float) -> tuple[float, float]:
    """The shares that the evidence leaves open: each end is wrong at some look with a chance of at most `alpha`.

    A confidence sequence (Howard, Ramdas, McAuliffe and Sekhon 2021, Time-uniform, nonparametric, nonasymptotic
    confidence sequences, arXiv:1810.08240). (0, 1) of no rows.
    """
    if not rows:
        return 0.0, 1.0
    k, n, enough = np.asarray(count), np.asarray(rows), np.log(1 / alpha)
    middle = min(max(count / rows, LEAST), 1 - LEAST)
    return _edge(above, k, n, enough, 0.0, middle), _edge(below, k, n, enough, 1.0, middle)


def _edge(evidence: Evidence, k: Array, n: Array, enough: float, end: float, inner: float) -> float:
    """The last share on the way from `end` to `inner`, which is open, that the evidence refutes."""
    for _ in range(ROUNDS):
        points = np.clip(np.linspace(end, inner, POINTS)[1:], LEAST / 1000, 1 - LEAST / 1000)
        refuted = int((evidence(k, n, points) >= enough).sum())  # one after another, from the end
        end = float(points[refuted - 1]) if refuted else end
        inner = float(points[min(refuted, len(points) - 1)])
    return end


def _mixed(count: Array, rows: Array, limit: Array, others: Array) -> Array:
    """Log of the mean over `others` (..., M) of their likelihood ratios to `limit`."""
    for_each, against_each = np.log(others / limit), np.log((1 - others) / (1 - limit))
    ratios = count[..., None] * for_each + (rows - count)[..., None] * against_each
    mean: Array = log_sum(ratios, -1) - np.log(len(STEPS))
    return mean


def log_sum(logs: Array, axis: int) -> Array:
    """Log of the sum of exp(logs) over an axis, without overflow."""
    most = logs.max(axis=axis, keepdims=True)
    total: Array = np.log(np.exp(logs - most).sum(axis=axis)) + most.squeeze(axis)
    return total
