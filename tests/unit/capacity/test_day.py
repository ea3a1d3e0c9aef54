"""Days whose outcome is known: constant load, a step up, a step down; and the autoscaler's own rules."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.capacity import curve
from tasks.capacity.autoscaler import Autoscaler, Rules
from tasks.capacity.day import fixed, needed, scaled
from tasks.capacity.moments import World
from tasks.capacity.station import Station
from tasks.core.errors import StillroomError
from tests.unit.capacity.made import level

STEP_S = 5.0
STARTUP_S = 20.0
STATION = Station.of([level(c, 100.0) for c in (1, 64)], 64)  # in time up to 10 in flight, with 100 ms promised


def world(*parts: tuple[float, float], **other: Any) -> World:
    """Load in pieces of (seconds, requests a second)."""
    figures: dict[str, Any] = {
        "arrivals_per_s": np.concatenate([np.full(round(seconds / STEP_S), rate) for seconds, rate in parts]),
        "step_s": STEP_S,
        "station": STATION,
        "sla_ms": 100.0,
        "startup_s": STARTUP_S,
        "price_per_replica_hour": 2.0,
    }
    return World(**{**figures, **other})


def rules(**other: Any) -> Rules:
    figures: dict[str, Any] = {
        "name": "requests",
        "targets": {"requests_per_s": 80.0},
        "least": 1,
        "most": 20,
        "window_s": 15.0,
        "down_after_s": 300.0,
    }
    return Rules(**{**figures, **other})


def test_constant_load_is_served_by_one_number_at_a_known_price() -> None:
    day = scaled(world((3600, 160.0)), rules())  # two replicas at 80 % have 4 in flight each, with 64 places
    assert (day.replicas_least, day.replicas_most, day.changes) == (2, 2, 0)
    assert day.replica_hours == pytest.approx(2.0) and day.cost == pytest.approx(4.0)
    assert day.requests == pytest.approx(160 * 3600)
    assert day.refused_share < 1e-5
    assert day.late_share == pytest.approx(0.8**10, rel=0.01), "an arrival is late when it finds ten: 0.8 ** 10"


def test_a_step_up_is_answered_after_the_metric_the_decision_and_the_start() -> None:
    """400 a second want 5 replicas of 80; one of 100 refuses three quarters of it for the 20 s until they serve."""
    step = world((600, 50.0), (1200, 400.0))
    day = scaled(step, rules())
    assert (set(day.replicas[:10]), set(day.replicas[11:]), day.changes) == ({1}, {5}, 1)
    assert day.refused_share == pytest.approx(20 * 0.75 * 400 / (600 * 50 + 1200 * 400), rel=0.01)
    slow = scaled(replace(step, startup_s=120.0), rules())
    assert slow.refused_share == pytest.approx(6 * day.refused_share, rel=0.01)


def test_the_refusals_of_a_step_are_counted_to_the_step() -> None:
    """Fixed: one replica of 100 a second is offered 400 for a third of the time; three quarters of that are refused."""
    day = fixed(world((1200, 0.0), (600, 400.0)), "one", 1)
    assert day.refused_share == pytest.approx(0.75, abs=0.001)
    assert day.bad_minutes == 10
    assert (day.replicas_least, day.replicas_most, day.changes) == (1, 1, 0)


def test_a_step_down_waits_for_the_window() -> None:
    """Ten minutes of 320 a second, last seen at 9:45; the window holds them to 14:45, and at 15:00 one is left."""
    day = scaled(world((600, 320.0), (1200, 10.0)), rules())
    assert set(day.replicas[:16]) == {4} and set(day.replicas[16:]) == {1}
    assert day.changes == 1
    assert day.replica_hours == pytest.approx((4 * 905 + 895) / 3600)


def test_load_that_never_comes_costs_the_least_number() -> None:
    day = scaled(world((600, 0.0)), rules(least=2))
    assert (day.replicas_least, day.replicas_most, day.late_share, day.bad_minutes) == (2, 2, 0, 0)


def test_the_processor_tells_less_than_the_requests() -> None:
    """At saturation CPU use cannot exceed a core a replica, so that each turn grows by less than is needed."""
    crowd = world((600, 50.0), (900, 900.0))
    by_cpu = scaled(crowd, rules(targets={"cpu_cores": 0.8}))
    assert by_cpu.refused_share > scaled(crowd, rules()).refused_share


def test_in_flight_alone_swings_between_too_few_and_too_many() -> None:
    """Of 400 a second ten replicas have 6.7 in flight, which asks for one; one has its 64 places full, asks for eight.

    What is in flight does not grow in proportion to the load. Requests a second do, so with both there is no swing.
    """
    load = world((600, 800.0), (7200, 400.0))
    alone = scaled(load, rules(targets={"in_flight": 8.0}))
    assert alone.changes > 20 and alone.refused_share > 0.02
    both = scaled(load, rules(targets={"in_flight": 8.0, "requests_per_s": 80.0}))
    assert both.changes == 1 and both.refused_share < 1e-4


def test_noise_is_repeatable_and_makes_the_number_move() -> None:
    by_queue = {"targets": {"in_flight": 4.0}, "down_after_s": 0.0}
    steady, noisy = (scaled(world((3600, 80.0), noise=seed), rules(**by_queue)) for seed in (None, 1))
    assert steady.changes == 0 < noisy.changes
    assert noisy == scaled(world((3600, 80.0), noise=1), rules(**by_queue))
    averaged = scaled(world((3600, 80.0), noise=1), rules(**by_queue, window_s=120.0))
    assert averaged.changes < noisy.changes


@pytest.mark.parametrize(("rate", "wanted"), [(0.0, 1), (50.0, 1), (50.1, 2), (150.0, 3)])
def test_needed(rate: float, wanted: int) -> None:
    assert needed(rate, 50.0) == wanted


@pytest.mark.parametrize(
    ("replicas", "total", "wanted"),
    [
        (2, 160.0, 2),  # on target
        (2, 175.0, 2),  # within 10 %
        (2, 180.0, 3),  # ceil(180 / 80)
        (1, 2000.0, 5),  # four more at once
        (8, 8000.0, 16),  # twice as many at once
        (16, 8000.0, 20),  # most
        (3, 0.0, 1),  # least
    ],
)
def test_one_decision(replicas: int, total: float, wanted: int) -> None:
    assert Autoscaler(rules()).decide(0.0, replicas, {"requests_per_s": total}) == wanted


def test_of_several_metrics_the_largest_wish_counts() -> None:
    scaler = Autoscaler(rules(targets={"requests_per_s": 80.0, "in_flight": 4.0}))
    assert scaler.decide(0.0, 4, {"requests_per_s": 80.0, "in_flight": 24.0}) == 6
    assert Autoscaler(scaler.rules).decide(0.0, 4, {"requests_per_s": 480.0, "in_flight": 1.0}) == 6


def test_down_goes_to_the_largest_number_wanted_within_the_window() -> None:
    scaler = Autoscaler(rules(down_after_s=60.0))
    decided = [scaler.decide(at, 6, {"requests_per_s": n * 80.0}) for at, n in ((0, 6), (15, 1), (30, 3), (60, 1))]
    assert decided == [6, 6, 6, 6], "six were wanted 60 s ago: the window holds its edge"
    assert scaler.decide(75.0, 6, {"requests_per_s": 80.0}) == 3, "what was wanted at 30 s"
    assert scaler.decide(105.0, 3, {"requests_per_s": 80.0}) == 1


def test_a_policy_lets_a_tenth_go_a_minute_and_one_at_least() -> None:
    scaler = Autoscaler(rules(down_after_s=0.0, down_percent=10))
    numbers, at = [20], 0.0
    for at in range(0, 300, 15):
        numbers.append(scaler.decide(at, numbers[-1], {"requests_per_s": 80.0}))
    assert numbers == [20, *[18] * 4, *[16] * 4, *[14] * 4, *[12] * 4, *[10] * 4]
    assert scaler.decide(at + 60, 2, {"requests_per_s": 1.0}) == 1


def test_letting_replicas_go_slowly_softens_the_swing_and_does_not_end_it() -> None:
    """Five at 80 % have too little in flight, four at 100 % have everything: no number in between."""
    load = world((600, 800.0), (7200, 400.0))
    at_once, slowly = (scaled(load, rules(targets={"in_flight": 8.0}, down_percent=p)) for p in (100, 10))
    assert slowly.changes > 20 and slowly.refused_share < at_once.refused_share / 10


def test_the_curve_is_read_with_straight_lines(tmp_path: Path) -> None:
    file = tmp_path / "day.csv"
    file.write_text("time,requests_per_s\n01:00,10\n03:00,30\n")
    load = curve.read(file, 60.0)
    assert load.shape == (1440,)
    assert (load[0], load[60], load[120], load[180], load[-1]) == (10, 10, 20, 30, 30)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: is missing"),
        ("hour,requests_per_s\n1,2\n", "line 1: is hour,requests_per_s; allowed: time,requests_per_s"),
        ("time,requests_per_s\n", "no rows"),
        ("time,requests_per_s\n12:00\n", "line 2"),
        ("time,requests_per_s\n12.5,3\n", "line 2: '12.5,3'; allowed: as 12:30,450"),
        ("time,requests_per_s\n12:00,-1\n", "line 2"),
        ("time,requests_per_s\n12:00,inf\n", "line 2"),
        ("time,requests_per_s\n25:00,1\n", "line 2"),
        ("time,requests_per_s\n12:00,1\n12:00,2\n", "line 3: not after the line before"),
    ],
)
def test_a_curve_that_does_not_fit_names_the_line(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "day.csv"
    file.write_text(text)
    with pytest.raises(StillroomError) as e:
        curve.read(file, 60.0)
    assert told in str(e.value)
    with pytest.raises(StillroomError, match="cannot be read"):
        curve.read(tmp_path / "none.csv", 60.0)
