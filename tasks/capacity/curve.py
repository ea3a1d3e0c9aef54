"""A day's load: a CSV file with the columns `time` (HH:MM) and `requests_per_s`, straight lines between its rows."""

from __future__ import annotations

import csv
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core.errors import StillroomError

Array = np.ndarray[Any, Any]
DAY_S = 86_400
COLUMNS = ["time", "requests_per_s"]


def read(file: Path, step_s: float) -> Array:
    """(DAY_S / step_s,) requests a second at every step; before the first row and after the last, theirs stay.

    StillroomError names the line that is wrong.
    """
    try:
        lines = list(csv.reader(file.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError) as e:
        raise StillroomError(f"{file}: cannot be read: {e}") from None
    if not lines or [name.strip() for name in lines[0]] != COLUMNS:
        found = ",".join(lines[0]) if lines else "missing"
        raise StillroomError(f"{file}: line 1: is {found}; allowed: time,requests_per_s")
    points = [_point(file, n, line) for n, line in enumerate(lines[1:], 2) if line]
    if not points:
        raise StillroomError(f"{file}: has no rows under its first line")
    for (before, _, _), (after, _, n) in pairwise(points):
        if after <= before:
            raise StillroomError(f"{file}: line {n}: not after the line before; allowed: times that go up")
    at = np.arange(0, DAY_S, step_s)
    return np.asarray(np.interp(at, [p[0] for p in points], [p[1] for p in points]))


def _point(file: Path, n: int, line: list[str]) -> tuple[float, float, int]:
    """Seconds since midnight, requests a second, and the line's number."""
    try:
        time, rate = line
        hours, minutes = (int(part) for part in time.split(":"))
        per_s = float(rate)
    except ValueError:
        raise StillroomError(f"{file}: line {n}: {','.join(line)!r}; allowed: as 12:30,450") from None
    if not (0 <= hours <= 24 and 0 <= minutes < 60 and math.isfinite(per_s) and per_s >= 0):
        raise StillroomError(f"{file}: line {n}: {','.join(line)!r}; allowed: 00:00 to 24:00, and a rate of 0 or more")
    return 3600.0 * hours + 60.0 * minutes, per_s, n
