"""A client's numbers as the network's own type, or a refusal that names the first one that does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from serving.refusal import Refused

Array = np.ndarray[Any, Any]


def cast(values: Array, dtype: str, at: str = "") -> Array:
    """Rows (N, *row) as `dtype`, losing nothing: no NaN or infinity, nothing out of range, no fraction cut off."""
    target = np.dtype(dtype)
    whole = target.kind in "iu"
    if whole and values.dtype == target:
        return values
    least, most = (
        (np.iinfo(target).min, np.iinfo(target).max) if whole else (-np.finfo(target).max, np.finfo(target).max)
    )
    good = (values >= least) & (values <= most)  # false for NaN
    if whole and values.dtype.kind == "f":
        good &= np.floor(values) == values
    if not good.all():
        first = tuple(int(i) for i in np.argwhere(~good)[0])
        name = at or f"inputs[{first[0]}]"
        place = "".join(f"[{i}]" for i in first[1:])
        allowed = f"whole numbers from {least} to {most}" if whole else f"finite {target} numbers"
        raise Refused(f"{name}{place}: {values[first]}; allowed: {allowed}")
    return values.astype(target, copy=False)
