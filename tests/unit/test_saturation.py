"""Sums of pairs on 16 bits: against the definition one number at a time, and the bound against all activations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tasks.evidence.saturation import CELLS, can_saturate, lost, product, risky_pairs

Array = np.ndarray[Any, Any]


def by_definition(values: Array, weight: Array) -> Array:
    """`vpmaddubsw` and `vpmaddwd` in plain Python."""
    out = np.zeros((values.shape[0], weight.shape[1]), np.int64)
    for m in range(out.shape[0]):
        for n in range(out.shape[1]):
            products = [int(a) * int(b) for a, b in zip(values[m], weight[:, n], strict=True)]
            pairs = [sum(products[k : k + 2]) for k in range(0, len(products), 2)]
            out[m, n] = sum(min(max(pair, -32768), 32767) for pair in pairs)
    return out


@pytest.mark.parametrize("shape", [(5, 8, 6), (3, 7, 4), (1, 1, 1), (4, 2, 9)])
def test_saturating_product_is_the_definition(shape: tuple[int, int, int]) -> None:
    draw = np.random.default_rng(sum(shape))
    values = draw.integers(150, 256, shape[:2]).astype(np.uint8)
    weight = draw.integers(-128, 128, shape[1:]).astype(np.int8)
    assert np.array_equal(product(values, weight, (0, 0), True).values, by_definition(values, weight))


def test_zero_points_come_off_after_the_sums_have_saturated() -> None:
    values, weight = np.full((1, 2), 255, np.uint8), np.full((2, 1), 127, np.int8)
    found = product(values, weight, (200, 0), True)
    assert found.values.item() == 32767 - 200 * 2 * 127
    assert found.clipped == 1
    assert product(values, weight, (200, 0), False).values.item() == 55 * 2 * 127


def test_what_does_not_saturate_is_integer_arithmetic() -> None:
    draw = np.random.default_rng(0)
    values, weight = draw.integers(0, 256, (9, 31)).astype(np.uint8), draw.integers(-64, 65, (31, 5)).astype(np.int8)
    found = product(values, weight, (3, 0), True)
    assert np.array_equal(found.values, (values.astype(np.int64) - 3) @ weight.astype(np.int64))
    assert found.clipped == 0


@pytest.mark.parametrize(
    ("pair", "risk"), [((64, 64), False), ((65, 64), True), ((-64, -64), False), ((-65, -64), True)]
)
def test_bound_is_exact(pair: tuple[int, int], risk: bool) -> None:
    """At risk if and only if some pair of activations saturates; all 65536 of them are tried."""
    a, b = np.meshgrid(np.arange(256), np.arange(256))
    sums = a * pair[0] + b * pair[1]
    assert bool((sums > 32767).any() or (sums < -32768).any()) is risk
    weight = np.array(pair, np.int8)[:, None]
    assert can_saturate(np.dtype(np.uint8), weight) is risk


def test_bound_agrees_with_all_weights() -> None:
    even, odd = (w.ravel() for w in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)))
    at = risky_pairs(np.stack([even, odd]).astype(np.int8))[1]
    ends = np.array([[0, 0], [0, 255], [255, 0], [255, 255]])
    sums = ends @ np.stack([even, odd])
    assert np.array_equal(at, np.flatnonzero((sums.max(axis=0) > 32767) | (sums.min(axis=0) < -32768)))


@pytest.mark.parametrize(("left", "right"), [(np.int8, np.int8), (np.uint8, np.uint8), (np.int8, np.uint8)])
def test_only_unsigned_times_signed_saturates(left: Any, right: Any) -> None:
    values, weight = np.full((2, 4), 127, left), np.full((4, 3), 127, right)
    assert not can_saturate(np.dtype(left), weight)
    assert not lost(values, weight).any()


def test_many_pairs_are_done_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(1)
    values, weight = draw.integers(0, 256, (7, 64)).astype(np.uint8), draw.integers(-128, 128, (64, 40)).astype(np.int8)
    whole = lost(values, weight)
    assert CELLS > 7 * 32 * 40
    monkeypatch.setattr("tasks.evidence.saturation.CELLS", 50)
    assert np.array_equal(lost(values, weight), whole) and whole.any()
