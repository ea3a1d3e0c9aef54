"""The knee against curves whose answer is known."""

from __future__ import annotations

from tasks.capacity.knee import between, knee, warnings
from tests.unit.capacity.made import level

SLA_MS = 100.0
CURVE = [level(1, 50, 22), level(2, 90, 25), level(4, 100, 45), level(8, 101, 79), level(16, 99, 161)]


def test_the_largest_that_keeps_the_latency_and_has_nearly_all_the_throughput() -> None:
    found = knee(CURVE, SLA_MS)
    assert found is not None and (found.concurrency, found.saturated, found.requests_per_s) == (8, True, 101)
    assert "100% of the most" in found.sentence and "tried" not in found.sentence


def test_the_order_of_the_levels_does_not_matter() -> None:
    assert knee(CURVE[::-1], SLA_MS) == knee(CURVE, SLA_MS)


def test_exactly_on_both_bounds_is_within() -> None:
    found = knee([level(4, 90, 80), level(8, 100, 81)], SLA_MS)
    assert found is not None and (found.concurrency, found.saturated) == (4, True)


def test_a_latency_used_up_before_the_throughput_is_said() -> None:
    found = knee([level(1, 10, 70), level(2, 20, 79), level(4, 40, 90)], SLA_MS)
    assert found is not None and (found.concurrency, found.saturated) == (2, False)
    assert "50% of the most" in found.sentence and "later than 80% of 100 ms" in found.sentence


def test_no_level_keeps_the_latency() -> None:
    assert knee([level(1, 10, 81), level(2, 10, 150)], SLA_MS) is None


def test_a_knee_at_the_end_of_the_curve_may_lie_beyond() -> None:
    found = knee(CURVE[:3], SLA_MS)
    assert found is not None and found.concurrency == 4 and "may lie beyond" in found.sentence


def test_a_level_with_failures_does_not_count() -> None:
    curve = [*CURVE[:3], level(8, 500, 20, failed={"status 429": 2})]
    found = knee(curve, SLA_MS)
    assert found is not None and found.concurrency == 4
    assert "2 x status 429 beside 1000 answers: left out" in warnings(curve)[0]
    one_in_a_thousand = [level(8, 500, 20, failed={"status 429": 1})]
    assert knee(one_in_a_thousand, SLA_MS) is not None and "left out" not in warnings(one_in_a_thousand)[0]


def test_levels_between_the_knee_and_the_next_are_worth_trying() -> None:
    assert between(CURVE, SLA_MS) == (10, 12, 14)
    assert between(CURVE[:3], SLA_MS) == (), "nothing above"
    assert between([level(1, 10, 70), level(2, 20, 90)], SLA_MS) == (), "not saturated: more would be later"
    assert between([level(1, 10, 10), level(2, 10, 90)], SLA_MS) == (), "no whole number between"


def test_littles_law_is_checked_and_a_busy_generator_named() -> None:
    assert warnings(CURVE) == ()
    (told,) = warnings([level(8, in_flight=7.1)])
    assert told.startswith("concurrency 8: Little's law is off") and "7.10" in told and "11%" in told
    assert warnings([level(8, in_flight=7.3)]) == ()
    (told,) = warnings([level(64, generator_cores=0.85)])
    assert "the load generator was the limit" in told and "0.85" in told
