"""How far two measured numbers are apart, with a 95 % interval of that, from nothing but each one's own interval.

Zou & Donner 2008, "Construction of confidence limits about effect measures" (Statistics in Medicine 27): the limits of
a difference follow from those of its two sides. With Wilson's limits of a share it is Newcombe's hybrid score interval
(1998, method 10). Both sides count as independent. Two variants measured on the same rows, or in the same rounds, go
up and down together, so that the true interval is narrower: what is called a change here is one. Where the rows are
kept it is narrowed (tasks/evidence/marks.py), and where the rounds are, by `over` below.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tasks.core.findings import Interval
from tasks.core.median import fewest, median_interval
from tasks.core.results import Timing

Z = 1.959963984540054  # the normal distribution's 97.5 % quantile


def share_interval(share: float, rows: int) -> Interval:
    """Wilson's interval of a share seen on `rows` rows; ValueError for none."""
    if rows < 1:
        raise ValueError("the share of no rows is undefined")
    spread = Z * Z / rows
    middle = (share + spread / 2) / (1 + spread)
    half = Z * math.sqrt(share * (1 - share) / rows + spread / (4 * rows)) / (1 + spread)
    return Interval(value=share, low=min(share, middle - half), high=max(share, middle + half))


def difference(new: Interval, old: Interval) -> Interval:
    """`new` minus `old`."""
    value = new.value - old.value
    low = value - math.hypot(new.value - new.low, old.high - old.value)
    high = value + math.hypot(new.high - new.value, old.value - old.low)
    return Interval(value=value, low=low, high=high)


def quotient(new: Interval, old: Interval) -> Interval:
    """`new` over `old`, both above 0: the difference of their logarithms. ValueError for what is not above 0."""
    if min(new.low, old.low) <= 0:
        raise ValueError(f"a ratio of {new} to {old}: all must be above 0")
    log = difference(_log(new), _log(old))
    return Interval(value=math.exp(log.value), low=math.exp(log.low), high=math.exp(log.high))


def over(new: Sequence[float], old: Sequence[float]) -> Interval | None:
    """Latency `new` over `old`, both by round of one race; None where the rounds are too few or not the same ones."""
    if len(new) != len(old) or len(new) < fewest(0.95):
        return None
    return median_interval(np.array(new) / np.array(old))


def latency_over(new: Timing, old: Timing) -> Interval:
    """Latency `new` over `old` of one benchmark: round by round where that can be, else by way of the reference."""
    rounds = over(new.round_ms, old.round_ms) if new.by_mean == old.by_mean else None
    return rounds or quotient(new.ratio, old.ratio)


def _log(interval: Interval) -> Interval:
    return Interval(value=math.log(interval.value), low=math.log(interval.low), high=math.log(interval.high))


def holds(interval: Interval, nothing: float) -> bool:
    """Whether the interval holds the value that means no change (0 of a difference, 1 of a quotient)."""
    return interval.low <= nothing <= interval.high
