"""Evidence about a share, against its definition: worth at most 1 on average, whatever the share on the near side."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from serving.keeper.judge import share

LIMITS = st.floats(0.005, 0.9)
ROWS = st.integers(1, 300)


@given(rows=ROWS, limit=LIMITS, near=st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_what_is_within_is_worth_at_most_1_on_average(rows: int, limit: float, near: float) -> None:
    """Exactly: over all outcomes of so many rows, weighted by their chances."""
    k, n, other = np.arange(rows + 1), np.full(rows + 1, rows), limit + (1 - limit) / 2

    def mean(chance: float, evidence: share.Array) -> float:
        return float(np.exp(binom.logpmf(k, rows, chance) + evidence).sum())

    above, below, at = share.above(k, n, limit), share.below(k, n, limit), share.at(k, n, limit, other)
    assert [mean(limit, evidence) for evidence in (above, below, at)] == pytest.approx([1, 1, 1])
    assert mean(limit * near, above) <= 1 + 1e-9 and mean(limit * near, at) <= 1 + 1e-9
    assert mean(limit + (1 - limit) * near, below) <= 1 + 1e-9


def test_by_hand() -> None:
    """One failure in one row, against a limit of one half: the mean of the other shares, over it."""
    others = 0.5 + 0.5 * share.STEPS
    one = np.array(1)
    assert np.exp(share.above(one, one, 0.5)) == pytest.approx((others / 0.5).mean())
    assert np.exp(share.at(one, one, 0.5, 0.75)) == pytest.approx(1.5)
    assert share.above(np.array(0), np.array(0), 0.5) == pytest.approx(0)


def test_looking_at_every_row_is_wrong_as_seldom_as_promised() -> None:
    """2000 runs of 2000 rows at the limit, looked at after each: at most alpha of them ever cross (seeded)."""
    rng, alpha, limit = np.random.default_rng(5), 0.05, 0.05
    k = np.cumsum(rng.random((2000, 2000)) < limit, axis=1)[:, 4::5]
    n = np.arange(1, 2001)[4::5]
    for evidence in (share.above, share.below):
        crossed = (evidence(k, np.broadcast_to(n, k.shape), limit) >= np.log(1 / alpha)).any(axis=1).mean()
        assert 0.005 < crossed <= alpha, "and not by never crossing"


@given(rows=st.integers(1, 5000), part=st.floats(0, 1), alpha=st.floats(0.001, 0.2))
@settings(max_examples=30, deadline=None)
def test_bounds_are_where_the_evidence_begins_to_refute(rows: int, part: float, alpha: float) -> None:
    count = round(rows * part)
    low, high = share.bounds(count, rows, alpha)
    k, n, enough = np.array(count), np.array(rows), np.log(1 / alpha)
    assert 0 <= low <= count / rows <= high <= 1
    if low > 1e-6:
        assert share.above(k, n, low * 0.999) >= enough > share.above(k, n, low + (count / rows - low) * 0.01)
    if high < 1 - 1e-6:
        assert share.below(k, n, high + (1 - high) * 0.001) >= enough > share.below(k, n, high * 0.99 + 0.01 * k / n)


def test_bounds_of_nothing_and_of_much() -> None:
    assert share.bounds(0, 0, 0.01) == (0.0, 1.0)
    low, high = share.bounds(0, 1000, 0.01)
    assert low < 1e-9 and 0.005 < high < 0.012
    low, high = share.bounds(5_000_000, 10_000_000, 0.01)
    assert 0.499 < low < 0.5 < high < 0.501
