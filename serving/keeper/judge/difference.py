"""Whether one share is smaller than another by more than a margin: accuracy of two variants, judged at every look.

The evidence is universal inference (Wasserman, Ramdas and Balakrishnan 2020, arXiv:1912.11436): the likelihood by a
fixed mixture over both shares, divided by the largest likelihood that the claim allows. It is exact for any numbers of
rows, equal or not. The mixture is Beta(1/2, 1/2) for each share (Krichevsky and Trofimov 1981).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
LEAST = 1e-200  # log of a share of 0 that nothing was counted for
_log_gamma = np.frompyfunc(math.lgamma, 1, 1)


def worse(right: Array, rows: Array, right_c: Array, rows_c: Array, margin: float) -> Array:
    """Log of the evidence against "`right` of `rows` are at least the control's share less `margin`"; shaped so."""
    allowed = _share(right, rows) >= _share(right_c, rows_c) - margin
    return _evidence(right, rows, right_c, rows_c, margin, allowed)


def no_worse(right: Array, rows: Array, right_c: Array, rows_c: Array, margin: float) -> Array:
    """Log of the evidence against "it is at most the control's share less `margin`"."""
    allowed = _share(right, rows) <= _share(right_c, rows_c) - margin
    return _evidence(right, rows, right_c, rows_c, margin, allowed)


def _evidence(k: Array, n: Array, k_c: Array, n_c: Array, margin: float, allowed: Array) -> Array:
    """Mixture less supremum: that of the likeliest shares of all where they are allowed, else the boundary's."""
    mixture = _mixture(k, n) + _mixture(k_c, n_c)
    free = _likelihood(k, n, _share(k, n)) + _likelihood(k_c, n_c, _share(k_c, n_c))
    edge = _boundary(k, n, k_c, n_c, margin)
    bound = _likelihood(k, n, edge - margin) + _likelihood(k_c, n_c, edge)
    one_is_empty = (n == 0) | (n_c == 0)  # then its share may be anything, and the claim forbids nothing
    return mixture - np.where(allowed | one_is_empty, free, bound)


def _boundary(k: Array, n: Array, k_c: Array, n_c: Array, margin: float) -> Array:
    """The control's share x of the likeliest pair (x - margin, x): the log-likelihood is concave in x."""
    low, high = np.full(np.shape(k), margin, float), np.ones(np.shape(k))
    for _ in range(60):
        x = (low + high) / 2
        slope = k_c / x - (n_c - k_c) / np.maximum(1 - x, LEAST)
        slope = slope + k / np.maximum(x - margin, LEAST) - (n - k) / np.maximum(1 - x + margin, LEAST)
        low, high = np.where(slope > 0, x, low), np.where(slope > 0, high, x)
    return (low + high) / 2


def _likelihood(k: Array, n: Array, share: Array) -> Array:
    """Log-likelihood of `share`; a term that nothing was counted for is 0."""
    found: Array = k * np.log(np.maximum(share, LEAST)) + (n - k) * np.log(np.maximum(1 - share, LEAST))
    return found


def _mixture(k: Array, n: Array) -> Array:
    """Log of the mean likelihood over Beta(1/2, 1/2)."""
    both: Array = np.asarray(_log_gamma(k + 0.5) + _log_gamma(n - k + 0.5) - _log_gamma(n + 1.0), float)
    return both - math.log(math.pi)


def _share(k: Array, n: Array) -> Array:
    return k / np.maximum(n, 1)
