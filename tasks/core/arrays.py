"""Rows that are not in memory: views, and rows decoded on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tasks.core.contract import Rows, Split

Array = np.ndarray[Any, Any]


class Picked:
    """Some rows of another array, by index; nothing is read until they are asked for."""

    def __init__(self, rows: Rows, index: Array) -> None:
        self._rows, self._index = rows, index
        self.shape: tuple[int, ...] = (len(index), *rows.shape[1:])
        self.dtype = rows.dtype

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, rows: Any) -> Array:
        return self._rows[self._index[rows]]


class Decoded:
    """N rows that `decode(i) -> (*row)` makes one at a time, for instance from picture files."""

    def __init__(self, n: int, row: tuple[int, ...], dtype: Any, decode: Callable[[int], Array]) -> None:
        self.shape: tuple[int, ...] = (n, *row)
        self.dtype = np.dtype(dtype)
        self._decode = decode

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Array:
        index = range(len(self))[rows] if isinstance(rows, slice) else self._positions(np.asarray(rows))
        out = np.empty((len(index), *self.shape[1:]), self.dtype)
        for k, i in enumerate(index):
            out[k] = self._decode(int(i))
        return out

    def _positions(self, rows: Array) -> Array:
        """Whole-number positions 0..N-1 from positions that may count from the end, or from a mask."""
        index = np.flatnonzero(rows) if rows.dtype == bool else np.where(rows < 0, rows + len(self), rows)
        if len(index) and not (0 <= index.min() and index.max() < len(self)):
            raise IndexError(f"rows {index.min()}..{index.max()} of {len(self)}")
        return index


def pick(split: Split, index: Array) -> Split:
    """The rows `index` of a split, as a view."""
    groups = None if split.groups is None else split.groups[index]
    return Split({k: Picked(v, index) for k, v in split.inputs.items()}, split.labels[index], groups)


def batches(split: Split, size: int) -> Iterator[tuple[dict[str, Array], Array]]:
    """The split in order, `size` rows at a time: (inputs, labels). The last batch may be smaller."""
    for start in range(0, len(split), size):
        rows = slice(start, start + size)
        yield {k: np.ascontiguousarray(v[rows]) for k, v in split.inputs.items()}, split.labels[rows]
