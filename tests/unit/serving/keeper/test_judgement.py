"""The benchmark of the judge at a small scale, seeded: wrong as seldom as promised, right when it matters."""

from __future__ import annotations

import pytest

from benchmarks import simulated_rules as one
from benchmarks.simulated_rollout import GOOD, Traffic, package, rollout
from serving.package import Package

RUNS, ALPHA = 200, 0.1


@pytest.mark.parametrize("case", one.AT_THE_LIMIT, ids=lambda case: f"{case.rule}: {case.what}")
def test_at_its_limit_a_rule_is_wrong_as_seldom_as_promised(case: one.Case) -> None:
    found = one.looks_to_harm(case, ALPHA, runs=RUNS, looks=40, rows=50, look_s=30, seed=12)
    assert (found <= 40).mean() <= ALPHA


@pytest.mark.parametrize(
    ("case", "rows"),
    [(case, rows) for case, rows in zip(one.HARMFUL, (4000, 700, 100, 8000, 1000, 60, 20_000), strict=False)],
    ids=lambda value: f"{value.rule}: {value.what}" if isinstance(value, one.Case) else str(value),
)
def test_harm_is_found_within_so_many_rows(case: one.Case, rows: int) -> None:
    looks = 20
    found = one.looks_to_harm(case, 0.002, runs=40, looks=looks, rows=rows // looks, look_s=1, seed=13)
    assert (found <= looks).mean() >= 0.9


@pytest.fixture(scope="module")
def made() -> Package:
    return package()


@pytest.mark.parametrize(
    ("traffic", "mode", "within_s"),
    [
        (GOOD, "settled", 3600),
        (Traffic("5 % errors", errors=0.05), "rolled_back", 120),
        (Traffic("20 % disagree", disagreed=0.2), "rolled_back", 300),
        (Traffic("at the limits", late=0.05, errors=0.01, disagreed=0.03, right=0.9), "rolling", 300),
    ],
    ids=lambda value: value.name if isinstance(value, Traffic) else str(value),
)
def test_whole_rollouts_end_as_they_should(made: Package, traffic: Traffic, mode: str, within_s: int) -> None:
    ended = [rollout(traffic, made, per_s=1000, look_s=20, until_s=within_s, seed=seed) for seed in range(3)]
    assert [one.mode for one in ended] == [mode] * 3
    assert all(one.answers < 20_000 for one in ended if one.mode == "rolled_back")


def test_moved_inputs_are_told_and_move_nobody(made: Package) -> None:
    ended = rollout(Traffic("moved", shift=0.5), made, per_s=1000, look_s=20, until_s=200, seed=1)
    assert ended.drifts >= 1 and ended.mode == "rolling"
