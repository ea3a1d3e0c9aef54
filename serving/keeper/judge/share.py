"""Whether a share (of slow answers, of disagreements, of errors) is above or below a limit, judged at every look.

Each function gives the logarithm of an e-process: the likelihood ratio of other shares to the limit, averaged over a
fixed grid of them. A ratio on the far side of the limit shrinks on average for every share on the near side, so the
claim may be "at most" or "at least" the limit. The mixture is Robbins' (1970, Statistical methods related to the law of
the iterated logarithm); its use on live traffic is that of Johari, Pekelis and Walsh (2015, Always valid inference,
arXiv:1512.04922). It counts rows as independent: users who send the same row again and again are counted each time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
STEPS = 0.999 * 2.0 ** (-0.5 * np.arange(20))  # of the way from the limit to 0 or 1: large effects and small ones alike

HALVINGS = 26


def above(count: Array, rows: Array, limit: float) -> Array:
    """Log of the evidence against "the share is at most `limit`"; 0 where there are no rows. Shapes as `count`."""
    return _mixed(count, rows, limit, limit + (1 - limit) * STEPS)


def below(count: Array, rows: Array, limit: float) -> Array:
    """Log of the evidence against "the share is at least `limit`"."""
    return _mixed(count, rows, limit, limit * (1 - STEPS))


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
    low, high = 0.0, 1.0  # refuted, or ends of all that there is
    for evidence, end in ((above, low), (below, high)):
        open_ = min(max(count / rows, 1e-9), 1 - 1e-9)
        for _ in range(HALVINGS):
            half = min(max((end + open_) / 2, 1e-12), 1 - 1e-12)
            end, open_ = (half, open_) if evidence(k, n, half) >= enough else (end, half)
        low, high = (end, high) if evidence is above else (low, end)
    return low, high


def _mixed(count: Array, rows: Array, limit: float, others: Array) -> Array:
    """Log of the mean over `others` (M,) of their likelihood ratios to `limit`."""
    for_each, against_each = np.log(others / limit), np.log((1 - others) / (1 - limit))
    ratios = count[..., None] * for_each + (rows - count)[..., None] * against_each
    mean: Array = log_sum(ratios, -1) - np.log(len(others))
    return mean


def log_sum(logs: Array, axis: int) -> Array:
    """Log of the sum of exp(logs) over an axis, without overflow."""
    most = logs.max(axis=axis, keepdims=True)
    total: Array = np.log(np.exp(logs - most).sum(axis=axis)) + most.squeeze(axis)
    return total
