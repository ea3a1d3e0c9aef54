"""From a measured replica to figures for the platform."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.capacity.knee import ceiling, knee
from tasks.capacity.levels import Capacity, Safe
from tasks.capacity.sizing import measured
from tasks.core.results import Machine
from tasks.evidence.noise import judged
from tasks.plan.service import Rollout
from tasks.plan.sizing import planned
from tests.unit.capacity.made import level

LEVELS = (level(1, 50, 22), level(8, 100, 40, cpu_cores=0.93, pss_mb=300.0), level(16, 100, 160, pss_mb=320.0))
MI_MB = 2**20 / 1e6


def capacity(**other: Any) -> Capacity:
    figures: dict[str, Any] = {
        "control": "baseline",
        "treatment": "student",
        "package_sha256": "ab" * 32,
        "who": "split",
        "treatment_share": 0.1,
        "sla_ms": 100.0,
        "rounds": 3,
        "seconds_per_level": 6.0,
        "workers": 1,
        "threads": 1,
        "pinned_cores": 1,
        "models_mb": 10.0,
        "cold_start_s": 4.2,
        "max_concurrency": 32,
        "levels": LEVELS,
        "knee": knee(LEVELS, 100.0),
        "safe": Safe(arrivals_per_s=66.0, in_flight=3.0, cpu_cores=0.628),
        "warnings": (),
        "machine": Machine(cpu="A processor", flags=(), cores=2, load_before=0.0, load_after=0.0, versions={}),
        "noise": judged(0.0, 0.0, 0.0, None),
    }
    return Capacity(**{**figures, **other})


def test_every_figure_comes_from_the_measurement() -> None:
    sizing = measured(planned(Rollout()), capacity())
    assert sizing.target_concurrency == 8
    assert sizing.target_in_flight == pytest.approx(5.6), "0.7 of the knee"
    assert sizing.target_requests_per_s == pytest.approx(60.0), "the tolerance of 10 % below what is safe"
    assert sizing.cpu == "950m", "0.93 cores, up to the next 50m"
    assert sizing.target_cpu_percent == 60, "0.628 of 0.95 cores, the tolerance below"
    assert sizing.memory == "448Mi", f"(1.25 * 320 + 2 * 10) MB are {420 / MI_MB:.0f} Mi"
    assert (sizing.startup_s, sizing.concurrency) == (4.2, 32)
    assert "A processor: concurrency 8 gives 100 requests a second with p95 40 of 100 ms" in sizing.origin
    assert "the split of baseline and student, package abababababab" in sizing.origin


def test_what_people_decide_stays_as_it_is() -> None:
    before = planned(Rollout())
    after = measured(before, capacity())
    for key in ("min_replicas", "max_replicas", "scale_down_after_s", "prometheus", "workers", "timeout_s"):
        assert getattr(after, key) == getattr(before, key)


def test_in_flight_never_asks_for_more_while_the_rate_is_as_it_should_be() -> None:
    busy = capacity(safe=Safe(arrivals_per_s=66.0, in_flight=10.0, cpu_cores=0.6))
    assert measured(planned(Rollout()), busy).target_in_flight == pytest.approx(12.0)


def test_memory_by_rss_where_shares_are_not_told() -> None:
    levels = tuple(one.model_copy(update={"pss_mb": None}) for one in LEVELS)
    assert measured(planned(Rollout()), capacity(levels=levels)).memory == "512Mi", "1.25 * 400 + 20 MB"


@pytest.mark.parametrize("missing", ["knee", "safe"])
def test_guesses_stay_where_nothing_keeps_the_latency_and_the_file_says_so(missing: str) -> None:
    before = planned(Rollout())
    after = measured(before, capacity(**{missing: None}))
    assert after.origin.startswith("Measured, but") and "Not measured" in after.origin
    assert after.model_copy(update={"origin": before.origin}) == before


def test_without_a_measurement_the_figures_are_those_of_rollout_yaml() -> None:
    sizing = planned(Rollout())
    assert sizing.origin.startswith("Not measured") and "stillroom capacity" in sizing.origin
    assert (sizing.cpu, sizing.memory, sizing.target_in_flight) == ("1", "1Gi", pytest.approx(5.6))
    assert sizing.target_requests_per_s is None


@pytest.mark.parametrize(("timeout_s", "wanted"), [(10.0, 32), (0.4, 20), (0.1, 16)])
def test_refusals_begin_at_two_to_four_times_the_knee(timeout_s: float, wanted: int) -> None:
    found = knee(LEVELS, 100.0)
    assert found is not None
    assert ceiling(found, timeout_s) == wanted
