"""The intervals of p50, p95 and p99: seeded rounds of a file beside itself, planted tails, parts of rounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tasks.core.points import Point
from tasks.core.race import Laps
from tasks.core.tails import parts, tail_ratio
from tasks.evidence.standing import RATIOS, Standing, confidence_for

Array = np.ndarray[Any, Any]
ROUNDS = 30  # what a plan has by default


def sessions(draw: np.random.Generator, calls: int) -> dict[str, list[Array]]:
    """Milliseconds by round of two sessions of one file: drift that both share, luck that each session has for itself.

    Some calls are ten times as long, more of them in some rounds than in others.
    """
    taken: dict[str, list[Array]] = {"mine": [], "reference": []}
    drift = np.exp(0.05 * draw.standard_normal(ROUNDS).cumsum())
    for k in range(ROUNDS):
        stalls = draw.beta(1, 20)
        for name in taken:
            luck = np.exp(0.005 * draw.standard_normal())
            each = drift[k] * luck * np.exp(0.03 * draw.standard_normal(calls))
            taken[name].append(each * np.where(draw.random(calls) < stalls, 10.0, 1.0))
    return taken


def timing(taken: dict[str, list[Array]], comparisons: int = RATIOS) -> Any:
    """What `bench` says of them in a plan of so many comparisons: of a single variant at a single point, three."""
    laps = {name: Laps([rounds], [1.0] * len(rounds)) for name, rounds in taken.items()}
    standing = Standing("reference", set(), confidence_for(comparisons), 0.02)
    return standing.timing(laps, "mine", 0, Point("onnxruntime", 1, 1))


@pytest.mark.parametrize("calls", [3, 25, 200])
def test_a_file_beside_itself_is_held_to_be_as_fast_in_95_of_100_repeats_by_each_interval(calls: int) -> None:
    draw = np.random.default_rng(7)
    found = [timing(sessions(draw, calls)) for _ in range(100)]
    held = [[each.low <= 1 <= each.high for each in (t.ratio, t.p95_ratio, t.p99_ratio)] for t in found]
    assert np.sum(held, axis=0).min() >= 95
    assert np.all(held, axis=1).sum() >= 92  # all three at once: 95 % and no more than that
    assert sum(t.verdict == "no significant change" for t in found) >= 95


def test_one_interval_alone_covers_as_often_as_it_says() -> None:
    draw, held = np.random.default_rng(8), 0
    for _ in range(1000):
        found = tail_ratio(*sessions(draw, 25).values(), 95, 0.95)
        held += found.low <= 1 <= found.high
    assert held / 1000 >= 0.95 - 0.01


def test_slow_calls_that_the_median_does_not_see_are_found_by_p95() -> None:
    taken = sessions(np.random.default_rng(9), 400)
    taken["mine"] = [np.where(each > np.quantile(each, 0.9), 2 * each, each) for each in taken["mine"]]
    found = timing(taken)
    assert found.verdict == "no significant change"
    assert found.p95_ratio.low > 1


def test_whole_tails_are_as_many_times_as_long_as_they_were_planted() -> None:
    draw = np.random.default_rng(10)
    reference = [draw.lognormal(0.0, 0.3, 400) for _ in range(ROUNDS)]
    other = [1.5 * draw.lognormal(0.0, 0.3, 400) for _ in range(ROUNDS)]
    for percent in (95, 99):
        found = tail_ratio(other, reference, percent, 0.99)
        assert found.low < 1.5 < found.high and 1.4 < found.value < 1.6


def test_the_reference_beside_itself_is_one_without_doubt() -> None:
    rounds = sessions(np.random.default_rng(11), 5)["mine"]
    for percent in (95, 99):
        found = tail_ratio(rounds, rounds, percent, 0.95)
        assert (found.low, found.value, found.high) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("calls", "percent", "sizes"), [(25, 95, {1}), (10, 95, {2}), (10, 99, {3, 4}), (3, 99, {3, 4})]
)
def test_parts_are_neighbouring_rounds_with_enough_calls_or_as_many_as_the_interval_needs(
    calls: int, percent: int, sizes: set[int]
) -> None:
    rounds = [np.ones(calls)] * ROUNDS
    found = parts(rounds, [np.ones(10 * calls)] * ROUNDS, percent, 8)
    assert np.concatenate(found).tolist() == list(range(ROUNDS))
    assert {len(each) for each in found} == sizes and len(found) >= 8


def test_too_few_rounds_are_an_error() -> None:
    with pytest.raises(ValueError, match="5 values cannot bound"):
        tail_ratio([np.ones(9)] * 5, [np.ones(9)] * 5, 95, 0.95)
    with pytest.raises(ValueError, match="0 values"):
        tail_ratio([], [], 95, 0.95)
