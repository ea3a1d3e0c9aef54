"""The gates of promotion: every figure against a hand-worked one, every bound on both sides and exactly on it."""

import math

import pytest

from tasks.core.errors import ArtifactError
from tasks.core.findings import Harm, Interval, Portability, Worth
from tasks.core.results import Evaluation, Quality, Timing
from tasks.evidence import gates
from tests.unit.fake_evidence import harm, marks


def quality(rows: int, accuracy: float, recall: dict[str, float]) -> Quality:
    return Quality(
        rows=rows, accuracy=accuracy, macro_f1=0.9, per_class_recall=recall, agreement=0.97, calibration_error=0.02
    )


HARM = harm({"cat": 0.02, "dog": 0.15}, drop=0.02, flips=0.03, never_predicted=("emu",))


def evaluation(name: str, test: Quality, val: Quality | None = None, size: int = 500_000) -> Evaluation:
    return Evaluation(
        variant=name,
        model_sha256="00",
        size_bytes=size,
        parameters=1,
        macs=1,
        val=val or test,
        test=test,
        harm=HARM,
        val_harm=HARM,
        marks=marks(test.accuracy, test.rows),
    )


TIMING = Timing(
    threads=1,
    batch=1,
    p5_ms=1,
    p25_ms=1,
    p50_ms=1,
    p75_ms=1,
    p95_ms=2,
    p99_ms=3,
    rows_per_s=9,
    calls=5,
    rounds=5,
    ratio=Interval(value=0.5, low=0.4, high=0.6),
    p95_ratio=Interval(value=0.7, low=0.5, high=0.8),
    p99_ratio=Interval(value=0.8, low=0.5, high=1.2),
    verdict="faster",
    precise=False,
)
REFERENCE = evaluation("baseline", quality(100, 0.98, {"cat": 1.0, "dog": 0.96, "emu": 0.9}))
SMALL = evaluation("small", quality(100, 0.96, {"cat": 0.98, "dog": 0.81, "emu": 0.95}))


def figures(variant: Evaluation, reference: Evaluation = REFERENCE, worth: Worth | None = None) -> dict[str, float]:
    return gates.figures(variant, reference, TIMING, worth)


def test_the_figures_are_those_of_test_worked_by_hand():
    assert figures(SMALL) == pytest.approx(
        {
            "accuracy": 0.96,
            "accuracy_drop": 0.03,
            "accuracy_drop_estimate": 0.02,
            "classes_never_predicted": 1,
            "flips": 0.03,
            "agreement": 0.97,
            "latency_ratio": 0.6,
            "latency_ratio_estimate": 0.5,
            "latency_p95_ratio": 0.8,
            "latency_p95_ratio_estimate": 0.7,
            "latency_p99_ratio": 1.2,
            "latency_p99_ratio_estimate": 0.8,
            "macro_f1": 0.9,
            "portability_disagreement": 0.0,
            "size_mb": 0.5,
            "worst_class_drop": 0.16,
            "worst_class_drop_estimate": 0.15,
        }
    )


def test_what_val_says_moves_no_gate():
    bad_on_val = evaluation("small", SMALL.test, val=quality(100, 0.1, {"cat": 0.0}))
    assert figures(bad_on_val) == figures(SMALL)


def test_what_a_request_costs_and_where_it_travels_may_be_bounded():
    told = {"cost_per_million": 2.0, "joules_per_request": 0.5, "grams_co2_per_million": 60.0}
    found = figures(SMALL, worth=Worth(currency="EUR", joules_from="RAPL", **told))
    assert told.items() <= found.items()
    unknown = Portability(verdict="not judged", sentence="", layers=1)
    assert figures(SMALL.model_copy(update={"portability": unknown}))["portability_disagreement"] == 1
    with pytest.raises(ArtifactError, match=r"cost_per_million: cannot be judged, results/chosen\.json says nothing"):
        gates.check(figures(SMALL), [("cost_per_million", 2.0)], [])


@pytest.mark.parametrize("other", [quality(99, 0.9, SMALL.test.per_class_recall), quality(100, 0.9, {"cat": 1.0})])
def test_different_test_splits_are_not_compared(other: Quality):
    with pytest.raises(ArtifactError, match="different test splits"):
        figures(evaluation("small", other))


@pytest.mark.parametrize(
    ("found", "at_least", "holds"),
    [
        (0.019, False, True),
        (0.98 - 0.96, False, True),  # 0.020000000000000018: on the bound but for rounding
        (0.0201, False, False),
        (-1.0, False, True),
        (math.nan, False, False),
        (0.019, True, False),
        (0.02, True, True),
        (0.3 - 0.28, True, True),  # 0.01999999999999996
        (math.nan, True, False),
    ],
)
def test_a_bound_may_be_met_but_not_passed(found: float, at_least: bool, holds: bool):
    assert gates.Gate("accuracy_drop", found, 0.02, at_least).holds is holds


def test_there_is_a_gate_for_every_bound_and_for_nothing_else():
    found = {"accuracy_drop": 0.01, "size_mb": 2.0, "agreement": 0.9, "accuracy": 0.1}
    checked = gates.check(found, [("size_mb", 1.0), ("accuracy_drop", 0.02)], [("agreement", 0.95)])
    assert [(g.name, g.holds) for g in checked] == [("size_mb", False), ("accuracy_drop", True), ("agreement", False)]
    assert gates.check(found, [], []) == ()


def test_a_bound_on_groups_is_judged_where_there_are_groups_and_refused_where_not():
    one = harm({"cat": 0.0}, group_drop={"old": {"value": 0.1, "low": 0.05, "high": 0.2}})
    found = figures(SMALL.model_copy(update={"harm": Harm.model_validate(one)}))
    assert found["worst_group_drop"] == 0.2 and found["worst_group_drop_estimate"] == 0.1
    with pytest.raises(ArtifactError, match="worst_group_drop: cannot be judged, the data have no groups"):
        gates.check(figures(SMALL), [("worst_group_drop", 0.1)], [])


def test_the_table_shows_what_was_found_and_allowed():
    lines = gates.table(gates.check({"size_mb": 2.0, "agreement": 0.99}, [("size_mb", 1)], [("agreement", 0.95)]))
    assert [line.split() for line in lines.splitlines()] == [
        ["gate", "found", "allowed", "ok"],
        ["size_mb", "2", "<=", "1", "NO"],
        ["agreement", "0.99", ">=", "0.95", "yes"],
    ]
