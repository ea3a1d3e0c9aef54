"""What counts say, in a sentence and in the numbers that it rests on."""

from __future__ import annotations

from typing import Any

import numpy as np

from serving.keeper.judge import share
from serving.keeper.judge.finding import percent

Array = np.ndarray[Any, Any]
Said = tuple[str, dict[str, float]]


def of_share(what: str, limit: float, count: int, rows: int, alpha: float) -> Said:
    """A share with the bounds that hold at every look."""
    low, high = share.bounds(count, rows, alpha)
    found = (
        f"{percent(count / rows)} ({percent(low)} to {percent(high)}) of {rows:,}" if rows else "nothing counted yet"
    )
    numbers = {"count": float(count), "rows": float(rows), "low": low, "high": high, "limit": limit}
    return f"{what}: {found}; allowed: {percent(limit)}", numbers


def of_slow(p95_ms: float, limit: float, counts: Array, alpha: float) -> Said:
    """Late answers of both; `counts` as in `rules.slow`."""
    late, _, rows, late_c, rows_c = (int(n) for n in counts)
    said, numbers = of_share(f"answers that took over {p95_ms:g} ms", limit, late, rows, alpha)
    if rows_c:
        said += f"; of the control's: {percent(late_c / rows_c)}"
    if numbers["low"] > limit and rows_c and late_c * rows >= late * rows_c:
        said += ", so taking the treatment back would not help"
    return said, {**numbers, "control_count": float(late_c), "control_rows": float(rows_c)}


def of_difference(what: str, limit: float, counts: Array) -> Said:
    """Two shares; `counts` as in `rules.accuracy`."""
    right, rows, right_c, rows_c = (int(n) for n in counts)
    ours, theirs = (
        f"{percent(k / n)} of {n:,}" if n else "nothing counted yet" for k, n in ((right, rows), (right_c, rows_c))
    )
    names = ("count", "rows", "control_count", "control_rows")
    numbers = dict(zip(names, map(float, (right, rows, right_c, rows_c)), strict=True)) | {"limit": limit}
    return f"{what}: {ours}; of the control's: {theirs}; allowed drop: {percent(limit)}", numbers
