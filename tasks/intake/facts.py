"""One pass over rows that may not fit in memory: what the data rules and the normalisation need to know of each."""

from __future__ import annotations

from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any

import numpy as np

from tasks.core.arrays import batches
from tasks.core.contract import Split
from tasks.core.dataset import block_rows

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class RowFacts:
    """Facts of N rows, over all their inputs together.

    `low`, `high`: (N,) least and greatest finite value, NaN where there is none. `finite`: (N,) no NaN, no infinity.
    `digest`: (N,) 16 bytes that are equal only for equal rows. `total`, `squares`: (N, C) sums over the pixels of
    each channel of `images`, exact; (N, 0) for data without. `shape`: of one row of every input, as text.
    """

    low: Array
    high: Array
    finite: Array
    digest: Array
    total: Array
    squares: Array
    shape: str

    def take(self, index: Array) -> RowFacts:
        """The facts of the rows `index`."""
        arrays = {f.name: getattr(self, f.name)[index] for f in fields(self) if f.name != "shape"}
        return RowFacts(shape=self.shape, **arrays)

    def moments(self, pixels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation a channel, with `pixels` values a row; a channel of one value gets a std of 1."""
        n = len(self.low) * pixels
        totals, squares = (a.sum(axis=0).tolist() for a in (self.total, self.squares))
        mean = tuple(t / n for t in totals)
        # In whole numbers until the last step: the same bytes on every machine.
        std = tuple(((n * s - t * t) / (n * n)) ** 0.5 or 1.0 for t, s in zip(totals, squares, strict=True))
        return mean, std


def row_facts(split: Split) -> RowFacts:
    """Facts of every row of a split, reading each once, about 16 MiB at a time."""
    n, images = len(split), split.inputs.get("images")
    channels = images.shape[1] if images is not None and len(images.shape) == 4 else 0
    out = RowFacts(
        low=np.full(n, np.inf),
        high=np.full(n, -np.inf),
        finite=np.ones(n, bool),
        digest=np.empty(n, "S16"),
        total=np.zeros((n, channels), np.int64),
        squares=np.zeros((n, channels), np.int64),
        shape=" and ".join(sorted({shape_text(v.shape[1:]) for v in split.inputs.values()})),
    )
    start = 0
    for inputs, labels in batches(split, block_rows(split)):
        rows = slice(start, start + len(labels))
        for values in inputs.values():
            _note_values(out, rows, values.reshape(len(labels), -1))
        out.digest[rows] = _digests(inputs)
        if channels:
            pixels = inputs["images"]
            out.total[rows] = pixels.sum(axis=(2, 3), dtype=np.int64)
            out.squares[rows] = np.square(pixels, dtype=np.uint16).sum(axis=(2, 3), dtype=np.int64)
        start += len(labels)
    nothing = np.isinf(out.low)
    out.low[nothing] = out.high[nothing] = np.nan
    return out


def shape_text(shape: tuple[int, ...]) -> str:
    """(1, 8, 8) as `1 x 8 x 8`; a single number as `single`."""
    return " x ".join(str(n) for n in shape) or "single"


def _note_values(out: RowFacts, rows: slice, flat: Array) -> None:
    ok = np.isfinite(flat)
    out.finite[rows] &= ok.all(axis=1)
    whole = flat.dtype.kind in "biu"  # has no NaN; and an unsigned type cannot hold the infinity put in its place
    low = flat.min(axis=1) if whole else np.where(ok, flat, np.inf).min(axis=1)
    high = flat.max(axis=1) if whole else np.where(ok, flat, -np.inf).max(axis=1)
    out.low[rows] = np.minimum(out.low[rows], low)
    out.high[rows] = np.maximum(out.high[rows], high)


def _digests(inputs: dict[str, Array]) -> list[bytes]:
    ordered = [inputs[key] for key in sorted(inputs)]
    found = []
    for row in zip(*ordered, strict=True):
        digest = blake2b(digest_size=16)
        for part in row:
            digest.update(part.tobytes())
        found.append(digest.digest())
    return found
