"""What the data looked like before release (reference.json), and the same few features of live rows.

Features of a row of numbers: `mean`, `spread` (standard deviation), `extremes` (share of its values at or beyond the
least and the greatest of the reference's rows), over at most 512 of its values, evenly dealt. Of a text: `tokens`, and
`unknown` (share of tokens that the vocabulary lacks). `python -m tasks package` writes the file with the same
definitions of its own; a test holds them together. N = rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd
from threading import Lock
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from serving.shapes import Frozen

Array = np.ndarray[Any, Any]
Inputs = Mapping[str, Array]
VALUES = 512
WAITING_ROWS = 512  # rows kept for the next count; while there are so many, further ones are let go


class Bins(Frozen):
    """Counts over the bins x <= edges[0], edges[0] < x <= edges[1], ..., edges[-1] < x."""

    edges: tuple[float, ...] = Field(min_length=1)
    counts: tuple[int, ...]

    @model_validator(mode="after")
    def _fit(self) -> Bins:
        if len(self.counts) != len(self.edges) + 1:
            raise ValueError(f"{len(self.counts)} counts over {len(self.edges)} edges; allowed: one more than edges")
        return self

    def count(self, values: Array) -> Array:
        """How many of `values` (N,) fall in each bin."""
        return np.bincount(np.searchsorted(self.edges, values, side="left"), minlength=len(self.counts))


class Expected(Frozen):
    """On how many rows the two models disagreed, and the upper end of a one-sided 95 % interval of the share."""

    rows: int = Field(ge=1)
    count: int = Field(ge=0)
    high: float = Field(ge=0, le=1)

    @property
    def value(self) -> float:
        """The share."""
        return self.count / self.rows


class Reference(Frozen):
    """reference.json: what val looked like. `predicted` is by label, `confidence` over 20 equal bins of 0 to 1."""

    rows: int
    extremes: tuple[float, float] | None = None
    unknown: int | None = Field(None, description="the token's id")
    features: dict[str, Bins]
    predicted: dict[Literal["control", "treatment"], dict[str, int]]
    confidence: dict[Literal["control", "treatment"], tuple[int, ...]]
    disagreement: Expected


def of_numbers(rows: Array, extremes: tuple[float, float]) -> dict[str, Array]:
    """Each feature (N,) of rows of numbers (N, *row)."""
    every = rows.reshape(len(rows), -1)
    every = every[:, :: stride(every.shape[1])]
    values, n = every.astype(np.float32), every.shape[1]
    mean = np.add.reduce(values, axis=1) / n
    spread = np.sqrt(np.maximum(np.einsum("ij,ij->i", values, values) / n - mean * mean, 0))
    low, high = extremes
    at_ends = np.count_nonzero(every <= low, axis=1) + np.count_nonzero(every >= high, axis=1)
    return {"mean": mean, "spread": spread, "extremes": at_ends / n}


def of_texts(input_ids: Array, attention_mask: Array, unknown: int | None) -> dict[str, Array]:
    """Each feature (N,) of texts (N, L); `unknown` only where the vocabulary has such a token."""
    tokens = attention_mask.sum(axis=1)
    if unknown is None:
        return {"tokens": tokens}
    missed = ((input_ids == unknown) & (attention_mask != 0)).sum(axis=1)
    return {"tokens": tokens, "unknown": missed / np.maximum(tokens, 1)}


def stride(values: int) -> int:
    """Every how many of `values` one is taken: prime to them, so that no column of a picture is preferred."""
    step = -(-values // VALUES)
    while gcd(step, values) != 1:
        step += 1
    return step


class Seen:
    """Counts live rows over the reference's bins, off the way of requests: `add` only keeps them."""

    def __init__(self, reference: Reference | None) -> None:
        self._reference = reference
        self._waiting: list[Inputs] = []
        self._rows = 0
        self._lock = Lock()

    def add(self, inputs: Inputs) -> None:
        """Keep the rows of a request for the next `drain`; without a reference, or with enough of them, do nothing."""
        if self._reference is None or self._rows >= WAITING_ROWS:
            return
        with self._lock:
            self._waiting.append(inputs)
            self._rows += len(next(iter(inputs.values())))

    def drain(self) -> dict[str, Array]:
        """{feature: counts (bins,)} of what was kept since the last time."""
        with self._lock:
            waiting, self._waiting, self._rows = self._waiting, [], 0
        if self._reference is None or not waiting:
            return {}
        together = {name: np.concatenate([one[name] for one in waiting]) for name in waiting[0]}
        return counted(self._reference, together)


def counted(reference: Reference, inputs: Inputs) -> dict[str, Array]:
    """{feature: counts (bins,)} of rows as the network takes them."""
    if reference.extremes is None:
        found = of_texts(inputs["input_ids"], inputs["attention_mask"], reference.unknown)
    else:
        (rows,) = inputs.values()
        found = of_numbers(rows, reference.extremes)
    return {name: bins.count(found[name]) for name, bins in reference.features.items() if name in found}
