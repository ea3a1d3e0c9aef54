"""Intervals of differences and quotients, against published numbers and against draws."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tasks.core.findings import Interval
from tasks.evidence.difference import difference, holds, latency_over, over, quotient, share_interval
from tests.unit.fake_evidence import timing


def test_newcombes_own_example() -> None:
    # Newcombe 1998, Statistics in Medicine 17:873-890, table II, example (a): 56/70 - 48/80, method 10
    found = difference(share_interval(56 / 70, 70), share_interval(48 / 80, 80))
    assert (round(found.value, 4), round(found.low, 4), round(found.high, 4)) == (0.2, 0.0524, 0.3339)


def test_wilson_stays_within_bounds_at_the_ends() -> None:
    for share in (0.0, 1.0):
        found = share_interval(share, 10)
        assert 0 <= found.low <= share <= found.high <= 1 and found.high > found.low
    with pytest.raises(ValueError, match="no rows"):
        share_interval(0.5, 0)


def test_a_quotient_by_the_reference_is_the_measured_interval() -> None:
    mine, reference = Interval(value=0.5, low=0.4, high=0.7), Interval(value=1.0, low=1.0, high=1.0)
    found = quotient(mine, reference)
    for key in ("value", "low", "high"):
        assert getattr(found, key) == pytest.approx(getattr(mine, key))
    assert holds(quotient(mine, mine), 1.0)
    with pytest.raises(ValueError, match="above 0"):
        quotient(mine, Interval(value=0.0, low=0.0, high=0.0))


def test_a_quotient_covers_the_truth_as_often_as_it_says() -> None:
    draw, hits, trials = np.random.default_rng(0), 0, 4000
    for x, y in zip(draw.normal(0, 0.1, trials), draw.normal(0, 0.05, trials), strict=True):
        sides = [
            Interval(value=math.exp(m), low=math.exp(m - 1.96 * s), high=math.exp(m + 1.96 * s))
            for m, s in ((x, 0.1), (y, 0.05))
        ]
        hits += holds(quotient(*sides), 1.0)
    assert 0.94 < hits / trials < 0.96


def test_drift_that_both_have_in_a_round_leaves_their_ratio_alone() -> None:
    drift = np.random.default_rng(0).uniform(1.0, 3.0, 40)  # the clock, round by round
    noise = np.random.default_rng(1).uniform(0.99, 1.01, 40)
    found = over(tuple(0.8 * drift * noise), tuple(drift))
    assert found is not None and found.low <= 0.8 * 1.002 and found.high >= 0.8 * 0.998
    assert found.high - found.low < 0.01


def test_an_interval_over_rounds_holds_in_95_of_100() -> None:
    draw, hits = np.random.default_rng(2), 0
    for _ in range(400):
        old = draw.lognormal(0.0, 0.3, 30)
        found = over(tuple(0.5 * old * draw.lognormal(0.0, 0.05, 30)), tuple(old))
        hits += found is not None and found.low <= 0.5 <= found.high
    assert hits / 400 >= 0.94


def test_rounds_that_are_few_or_others_fall_back_on_the_reference() -> None:
    assert over((1.0,) * 5, (1.0,) * 5) is None and over((1.0,) * 9, (1.0,) * 8) is None
    reference = {"p50_ms": 1.0, "p95_ms": 1.5}
    slow, fast = timing(1.0, 1.5, reference, 1), timing(0.5, 0.7, reference, 1)
    assert latency_over(fast, slow) == quotient(fast.ratio, slow.ratio)
    kept = [t.model_copy(update={"round_ms": tuple(t.p50_ms * k for k in range(1, 10))}) for t in (fast, slow)]
    assert latency_over(*kept) == Interval(value=0.5, low=0.5, high=0.5)
    assert latency_over(kept[0].model_copy(update={"by_mean": True}), kept[1]) == quotient(fast.ratio, slow.ratio)
