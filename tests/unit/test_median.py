"""The median and its interval, against the binomial table and simulation."""

from math import comb

import numpy as np
import pytest

from tasks.core.median import fewest, median_interval


def test_interval_of_equal_values_has_no_width() -> None:
    found = median_interval(np.ones(9))
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_interval_is_between_the_values_that_the_binomial_table_names() -> None:
    found = median_interval(np.arange(1.0, 11.0)[::-1])  # n = 10: the 2nd and the 9th, for 97.9 %
    assert (found.low, found.value, found.high) == (2.0, 5.5, 9.0)


@pytest.mark.parametrize("confidence", [0.95, 1 - 0.05 / 3, 0.999])
def test_never_covers_less_than_it_says_by_the_exact_binomial_whatever_the_number_of_values(confidence: float) -> None:
    for n in range(fewest(confidence), 200):
        found = median_interval(np.arange(1.0, n + 1), confidence)
        low, high = round(found.low), round(found.high)
        assert low + high == n + 1
        # The true median lies outside where fewer than `low` values are below it, or above it.
        outside = [2 * sum(comb(n, k) for k in range(each)) / 2**n for each in (low, low + 1)]
        assert outside[0] <= 1 - confidence < outside[1] or low + 1 > n / 2  # and the next narrower one would not do


@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_interval_covers_the_true_median_as_often_as_it_says_whatever_the_law(confidence: float) -> None:
    draw, inside = np.random.default_rng(7), 0
    for _ in range(2000):
        found = median_interval(draw.lognormal(0.0, 2.0, 25), confidence)
        inside += found.low <= 1.0 <= found.high
    assert confidence - 0.01 <= inside / 2000


@pytest.mark.parametrize("confidence", [0.9, 0.9375, 0.95, 0.9875, 0.999])
def test_fewest_values_that_bound_a_median(confidence: float) -> None:
    n = fewest(confidence)
    median_interval(np.arange(n), confidence)
    assert 2 * 0.5**n < 1 - confidence <= 2 * 0.5 ** (n - 1)
    with pytest.raises(ValueError, match="cannot bound"):
        median_interval(np.arange(n - 1), confidence)


def test_median_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="0 values"):
        median_interval(np.empty(0))
