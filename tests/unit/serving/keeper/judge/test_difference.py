"""Evidence about a difference of two shares, against its definition and an optimizer of another make."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import betaln, comb, xlogy

from serving.keeper.judge.difference import no_worse, worse

Array = np.ndarray[Any, Any]
COUNTS = st.tuples(st.integers(0, 400), st.integers(0, 400))


def pmf(k: Array, n: int, p: float) -> Array:
    return np.asarray(comb(n, k) * p**k * (1 - p) ** (n - k))


@given(
    rows=st.integers(0, 25),
    rows_c=st.integers(0, 25),
    margin=st.floats(0, 0.5),
    at=st.floats(0, 1),
    off=st.floats(0, 1),
)
@settings(max_examples=40, deadline=None)
def test_what_is_within_is_worth_at_most_1_on_average(
    rows: int, rows_c: int, margin: float, at: float, off: float
) -> None:
    """Exactly: over all pairs of outcomes, weighted by their chances under a pair of shares that the claim allows."""
    k, k_c = np.meshgrid(np.arange(rows + 1), np.arange(rows_c + 1), indexing="ij")
    n, n_c = np.full_like(k, rows), np.full_like(k_c, rows_c)
    least = max(at - margin, 0.0)
    fine = least + off * (1 - least)
    chance = pmf(k, rows, fine) * pmf(k_c, rows_c, at)
    assert (chance * np.exp(worse(k, n, k_c, n_c, margin))).sum() <= 1 + 1e-6
    if at >= margin:
        chance = pmf(k, rows, (at - margin) * off) * pmf(k_c, rows_c, at)
        assert (chance * np.exp(no_worse(k, n, k_c, n_c, margin))).sum() <= 1 + 1e-6


@given(one=COUNTS, other=COUNTS, margin=st.floats(0, 0.5))
@settings(max_examples=60, deadline=None)
def test_is_a_mixture_over_the_likeliest_of_what_is_claimed(
    one: tuple[int, int], other: tuple[int, int], margin: float
) -> None:
    (k, n), (k_c, n_c) = sorted(one), sorted(other)
    mixture = betaln(k + 0.5, n - k + 0.5) + betaln(k_c + 0.5, n_c - k_c + 0.5) - 2 * np.log(np.pi)

    def likelihood(x: float) -> float:
        y = x - margin
        return float(xlogy(k, y) + xlogy(n - k, 1 - y) + xlogy(k_c, x) + xlogy(n_c - k_c, 1 - x))

    free = likelihood_at(k, n) + likelihood_at(k_c, n_c)
    edge = -minimize_scalar(
        lambda x: -likelihood(x), bounds=(margin, 1), method="bounded", options={"xatol": 1e-12}
    ).fun
    empty = n == 0 or n_c == 0
    difference = k / max(n, 1) - k_c / max(n_c, 1)
    arrays = tuple(np.array(v) for v in (k, n, k_c, n_c))
    claimed = free if difference >= -margin or empty else edge
    assert worse(*arrays, margin) == pytest.approx(mixture - claimed, abs=1e-3)
    claimed = free if difference <= -margin or empty else edge
    assert no_worse(*arrays, margin) == pytest.approx(mixture - claimed, abs=1e-3)


def likelihood_at(k: int, n: int) -> float:
    p = k / max(n, 1)
    return float(xlogy(k, p) + xlogy(n - k, 1 - p))


def test_looking_at_every_step_is_wrong_as_seldom_as_promised() -> None:
    """1000 runs at the very margin, the treatment with a tenth of the labels: at most alpha of them ever cross."""
    rng, alpha = np.random.default_rng(6), 0.1
    n, n_c = np.arange(1, 101) * 10, np.arange(1, 101) * 100
    k = np.cumsum(rng.binomial(10, 0.88, (1000, 100)), axis=1)
    k_c = np.cumsum(rng.binomial(100, 0.9, (1000, 100)), axis=1)
    for evidence in (worse, no_worse):
        found = evidence(k, np.broadcast_to(n, k.shape), k_c, np.broadcast_to(n_c, k.shape), 0.02)
        assert (found >= np.log(1 / alpha)).any(axis=1).mean() <= alpha


def test_a_real_drop_is_found() -> None:
    found = worse(np.array(760), np.array(1000), np.array(900), np.array(1000), 0.02)
    assert found > np.log(1e3)
    found = no_worse(np.array(18000), np.array(20000), np.array(18000), np.array(20000), 0.02)
    assert found > np.log(1e3)
