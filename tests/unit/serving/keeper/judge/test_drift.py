"""PSI and KS against SciPy and their definitions on raw values; chance bounds against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, entropy, ks_2samp

from serving.keeper.judge import drift
from serving.keeper.judge.drift import Window, distance
from serving.keeper.judge.watch import weight
from serving.reference import Bins

RNG = np.random.default_rng(9)
DECILES = tuple(np.quantile(RNG.normal(size=2000), np.arange(1, 10) / 10).tolist())
BINS = Bins(edges=DECILES, counts=(200,) * 10)


@given(seed=st.integers(0, 10_000), levels=st.integers(2, 40), shift=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_ks_of_counts_is_scipys_of_the_raw_values(seed: int, levels: int, shift: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, levels, 300), rng.integers(0, levels, 200) + shift
    edges = tuple(float(v) for v in range(levels + shift - 1))
    bins = Bins(edges=edges, counts=(0,) * (len(edges) + 1))
    assert drift.ks(bins.count(one), bins.count(other)) == pytest.approx(ks_2samp(one, other).statistic)


def test_ks_over_bins_is_at_most_that_of_the_values() -> None:
    one, other = RNG.normal(size=500), RNG.normal(0.3, size=500)
    assert 0 < drift.ks(BINS.count(one), BINS.count(other)) <= ks_2samp(one, other).statistic


def test_psi_is_the_sum_of_both_divergences_of_the_raw_values_shares() -> None:
    one, other = RNG.normal(size=20_000), RNG.normal(0.2, size=20_000)
    p, q = (np.histogram(v, bins=[-np.inf, *DECILES, np.inf])[0] / len(v) for v in (one, other))
    assert drift.psi(BINS.count(one), BINS.count(other)) == pytest.approx(entropy(p, q) + entropy(q, p), rel=1e-2)
    assert np.isfinite(drift.psi(np.array([10, 0]), np.array([0, 10])))


@given(bins=st.integers(2, 30), alpha=st.floats(1e-9, 0.2))
@settings(max_examples=50, deadline=None)
def test_the_bound_of_psi_is_beyond_the_quantile_of_chi_square(bins: int, alpha: float) -> None:
    counts = np.full(bins, 1000)
    bound = distance(counts, counts, alpha, ordered=True).psi_chance
    assert bound >= chi2.isf(alpha, bins - 1) * 2 / (1000 * bins)


@pytest.mark.parametrize(
    "shares", [np.full(10, 0.1), np.r_[0.9, np.full(20, 0.005)], np.r_[0.5, 0.499, np.full(8, 1.25e-4)]]
)
def test_chance_alone_is_beyond_the_bounds_as_seldom_as_promised(shares: np.ndarray) -> None:
    """2000 pairs of samples of one distribution, rare bins among them."""
    rng, alpha = np.random.default_rng(10), 0.05
    found = [
        distance(rng.multinomial(2000, shares), rng.multinomial(500, shares), alpha, ordered=True) for _ in range(2000)
    ]
    assert np.mean([d.psi > d.psi_chance for d in found]) <= alpha
    assert np.mean([d.ks > d.ks_chance for d in found]) <= alpha
    assert not any(d.beyond(0.2, 0.1) for d in found)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_bins_put_together_lose_no_row(pairs: list[tuple[int, int]]) -> None:
    reference, live = np.array(pairs).T + np.eye(1, len(pairs), dtype=int)[0]
    expected, found = drift.together(reference, live)
    assert (expected.sum(), found.sum(), len(expected)) == (reference.sum(), live.sum(), len(found))
    if len(expected) > 1:
        pooled = (expected + found) * min(reference.sum(), live.sum()) / (reference.sum() + live.sum())
        assert (pooled >= drift.LEAST_ROWS - 1e-9).all()


def test_a_label_that_val_never_had_is_drift() -> None:
    assert distance(np.array([1000, 1000, 0]), np.array([200, 200, 200]), 0.001, ordered=False).beyond(0.2, 0.1)


def test_a_window_closes_once_a_minute_and_pays_for_every_verdict() -> None:
    window = Window(np.full(10, 200), 500, 0.01, ordered=True)
    flat = np.full(10, 30)
    assert not window.see(flat, 0) and window.distance is None
    assert window.see(flat * 2, 0)
    first = window.distance
    assert first is not None and first.rows == 600 and first.psi == 0
    assert not window.see(flat * 5, 0), "this minute has had its verdict"
    assert window.see(flat * 5, 7)
    later = window.distance
    assert later is not None and later.rows == 900
    x = np.log(1 / (0.01 * weight(7)))
    assert later.ks_chance == pytest.approx(np.sqrt((np.log(2) + x) / 2 * (1 / 900 + 1 / 2000)))


def test_a_window_forgets_what_was_before_it_and_counts_that_were_lost() -> None:
    window = Window(np.full(10, 200), 500, 0.01, ordered=True)
    good = np.full(10, 10_000)
    window.see(good, 0)
    assert window.see(good + np.eye(10, dtype=int)[0] * 600, 1)
    assert window.distance is not None and window.distance.beyond(0.2, 0.1), "a long good past does not hide it"
    assert not window.see(np.full(10, 100), 2)
    assert window.see(np.full(10, 160), 2) and not window.distance.beyond(0.2, 0.1)
