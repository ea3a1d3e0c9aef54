"""Evidence with many starts: the weights, the sum by hand, lost counts, and a change after a long good time."""

from __future__ import annotations

import numpy as np
import pytest

from serving.keeper.judge import share
from serving.keeper.judge.share import Array
from serving.keeper.judge.watch import STARTS_MAX, Watch, weight

ALPHA = 0.01


def evidence(counts: Array) -> Array:
    return share.above(counts[..., 0], counts[..., 1], 0.03)


def test_weights_add_up_to_1() -> None:
    total = sum(weight(i) for i in range(100_000))
    assert 0.9 < total < 1 and 1 - total == pytest.approx(1 / np.log2(100_002))


def test_is_the_weighted_sum_over_its_starts() -> None:
    watch = Watch(evidence, ALPHA)
    seen = [np.array([0, 50]), np.array([3, 90]), np.array([9, 200])]
    for period, counts in enumerate(seen[:2]):
        watch.see(counts, period)
    found = watch.see(seen[2], 5)
    wanted = 0.5 * np.exp(evidence(seen[2]))
    wanted += 0.5 * weight(0) * np.exp(evidence(seen[2] - seen[1]))  # the start of minute 1
    wanted += 0.5 * weight(4)  # the start of minute 5, of which nothing is known yet
    assert found == pytest.approx(np.log(wanted) / np.log(1 / ALPHA))


def test_harm_after_a_long_good_time_is_found_nearly_as_soon() -> None:
    """A day of 100 rows a minute without a fault, then one in ten."""
    watch, plain = Watch(evidence, ALPHA), 0.0
    good = np.array([0, 0])
    for minute in range(1440):
        good = good + np.array([0, 100])
        watch.see(good, minute)
    assert len(watch._starts) <= STARTS_MAX  # type: ignore[arg-type]
    for more in range(1, 20):
        now = good + more * np.array([10, 100])
        plain = float(evidence(now))
        if watch.see(now, 1439 + more) >= 1:
            break
    assert more <= 4 and plain < 0, "400 rows; without new starts the good day outweighs them"


def test_counts_that_fell_begin_anew_where_they_stand() -> None:
    watch = Watch(evidence, ALPHA)
    watch.see(np.array([5, 1000]), 0)
    assert watch.see(np.array([5, 20]), 1) < 0, "5 of 20 are no evidence: they were counted before"
    assert watch.see(np.array([5 + 30, 20 + 60]), 1) >= 1


def test_many_runs_at_once_are_as_each_alone() -> None:
    rng = np.random.default_rng(7)
    paths = np.cumsum(np.stack([rng.binomial(20, 0.03, (8, 200)), np.full((8, 200), 20)], axis=-1), axis=1)
    together = Watch(evidence, ALPHA)
    alone = [Watch(evidence, ALPHA) for _ in paths]
    for i in range(60):
        found = together.see(paths[:, i], i)
        assert found == pytest.approx([w.see(path[i], i) for w, path in zip(alone, paths, strict=True)])


def test_false_alarms_over_an_hour_are_as_rare_as_promised() -> None:
    rng = np.random.default_rng(8)
    watch, crossed = Watch(evidence, 0.1), np.zeros(1000, bool)
    sums = np.zeros((1000, 2), np.int64)
    for minute in range(60):
        sums = sums + np.stack([rng.binomial(50, 0.03, 1000), np.full(1000, 50)], axis=-1)
        crossed |= watch.see(sums, minute) >= 1
    assert crossed.mean() <= 0.1
