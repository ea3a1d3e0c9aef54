"""Label arrays as sources find them, checked and made into class ids."""

from __future__ import annotations

from typing import Any

import numpy as np

from tasks.core.errors import DataError


def class_ids(found: np.ndarray[Any, Any], classes: int, where: str) -> np.ndarray[Any, Any]:
    """`found` (N,) as int64 ids 0..classes-1; DataError with the first offending row when it cannot be that.

    An (N, 1) array, as some archives hold, counts as (N,).
    """
    allowed = f"0..{classes - 1}" if classes else "0 and up"
    flat = found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found
    if flat.ndim != 1:
        raise DataError(f"{where}: labels of shape {found.shape}; one class number a row is needed")
    if flat.dtype.kind not in "iu":
        raise DataError(f"{where}: labels of type {found.dtype}; whole numbers are needed")
    outside = np.flatnonzero((flat < 0) | (flat >= classes))
    if len(outside):
        row = int(outside[0])
        more = f" (and {len(outside) - 1} more rows)" if len(outside) > 1 else ""
        raise DataError(f"{where}: row {row}: label {int(flat[row])}{more}; allowed: {allowed}")
    return flat.astype(np.int64)


def class_count(found: np.ndarray[Any, Any]) -> int:
    """How many classes labels stand for when nobody names them: the greatest label and one, but no more than rows."""
    return max(0, min(int(found.max()) + 1, len(found))) if found.size and found.dtype.kind in "iu" else 0
