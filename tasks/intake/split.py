"""Dealing labelled rows out: stratified, so that every class is on both sides, and the same for the same seed.

Pure: labels in, sorted row numbers out (sorted, so that files are read front to back).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tasks.core.errors import DataError

Array = np.ndarray[Any, Any]


def carve(
    labels: Array, share: float, seed: int, *, classes: Sequence[str], part: str, twins: Array | None = None
) -> tuple[Array, Array]:
    """(rows that stay, rows of the new part): about `share` of the rows of every class, at least one.

    Args:
        labels: (N,) class ids.
        share: of the rows, between 0 and 1.
        seed: of the random choice.
        classes: names by class id, for messages.
        part: what is carved, for messages.
        twins: (N,) an id a row; rows with equal ids, such as exact copies, stay together.

    Raises:
        DataError: a class has fewer than two rows (copies count once).
    """
    ids = np.arange(len(labels)) if twins is None else twins
    _, first, unit_of_row = np.unique(ids, return_index=True, return_inverse=True)
    unit_labels = labels[first]
    counts = np.bincount(unit_labels, minlength=len(classes))
    for name, count in zip(classes, counts, strict=True):
        if count < 2:
            raise DataError(
                f"train: class {name!r} has {count} different rows; at least 2 are needed to carve {part} out of it"
            )
    rng = np.random.default_rng(seed)
    wanted = max(len(classes), round(share * len(first)))
    units = _draw(unit_labels, _allot(counts, min(wanted, len(first) - len(classes)), counts - 1, rng), rng)
    taken = np.isin(unit_of_row, units)
    return np.flatnonzero(~taken), np.flatnonzero(taken)


def choose_rows(labels: Array, rows: int, seed: int) -> Array:
    """`rows` row numbers with the classes in proportion; every class that occurs is there if `rows` allows.

    Raises:
        DataError: there are fewer than `rows` rows.
    """
    if rows > len(labels):
        raise DataError(f"train: {len(labels)} rows; data.calibration_rows asks for {rows} of them")
    rng = np.random.default_rng(seed)
    counts = np.bincount(labels)
    return np.sort(_draw(labels, _allot(counts, rows, counts, rng), rng))


def _allot(counts: Array, total: int, most: Array, rng: np.random.Generator) -> Array:
    """How many of each class, `total` in all: in proportion, at most `most`, at least one where `total` allows."""
    ideal = total * counts / counts.sum()
    least = np.minimum(counts > 0, most).astype(np.int64)
    given: Array = np.clip(np.floor(ideal).astype(np.int64), least if least.sum() <= total else 0, most)
    order = rng.permutation(len(counts))  # among equals chance decides, or the first classes would always win
    while (missing := total - int(given.sum())) != 0:
        step = 1 if missing > 0 else -1
        open_ = order[given[order] < most[order]] if missing > 0 else order[given[order] > least[order]]
        k = open_[np.argmax(step * (ideal[open_] - given[open_]))]
        given[k] += step
    return given


def _draw(labels: Array, given: Array, rng: np.random.Generator) -> Array:
    """Random row numbers, `given[c]` of class c."""
    taken = [rng.permutation(np.flatnonzero(labels == c))[:n] for c, n in enumerate(given)]
    rows: Array = np.concatenate(taken)
    return rows
