"""Names, one a row, as ids: labels and groups that are written as words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tasks.core.errors import DataError, nearest


def sorted_names(values: Iterable[str]) -> tuple[str, ...]:
    """The different values in order: by size when all are whole numbers, otherwise by spelling."""
    names = set(values)
    return tuple(sorted(names, key=int if all(_is_whole(n) for n in names) else None))


def ids_of(values: Sequence[str], names: Sequence[str], place: Callable[[int], str]) -> np.ndarray[Any, Any]:
    """(N,) int64: where each value stands in `names`.

    Raises:
        DataError: a value is not among them; the message begins with `place(row)`.
    """
    index = {name: i for i, name in enumerate(names)}
    for row, value in enumerate(values):
        if value not in index:
            allowed = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
            raise DataError(f"{place(row)}: {value!r} is not one of {allowed}{nearest(value, names)}")
    return np.array([index[value] for value in values], np.int64)


def _is_whole(text: str) -> bool:
    return text.removeprefix("-").isdecimal() and text.isascii()
