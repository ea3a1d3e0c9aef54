"""The median of a few measurements and an interval around it that assumes nothing about their law.

Thompson, *On Confidence Ranges for the Median*, 1936: the interval lies between two order statistics.
"""

from __future__ import annotations

from math import floor, log2
from typing import Any

import numpy as np

from tasks.core.findings import Interval


def median_interval(values: np.ndarray[Any, Any], confidence: float = 0.95) -> Interval:
    """The median of `values` (R,) between two of them: right in at least `confidence` of all cases, whatever the law.

    The number of values below the true median is a binomial with a half, so that no distribution is assumed and no
    sample is too small, but for one with fewer values than `fewest` says: ValueError.
    """
    from scipy.stats import binom

    ordered, outside = np.sort(values), int(binom.ppf((1 - confidence) / 2, len(values), 0.5)) if len(values) else 0
    if outside < 1:
        raise ValueError(f"{len(values)} values cannot bound their median with {confidence:.4g}: {fewest(confidence)}")
    low, high = float(ordered[outside - 1]), float(ordered[-outside])
    return Interval(value=float(np.median(ordered)), low=low, high=high)


def fewest(confidence: float) -> int:
    """How many values it takes to bound a median: with fewer, all may lie on one side of it too often."""
    return floor(1 - log2(1 - confidence) + 1e-9) + 1
