"""`choose` on planted evidence: the budget, ties, the reference, what is missing, and that `test` is never seen."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from tasks import choose
from tasks.core import artifact
from tasks.core.errors import ArtifactError, NothingFitsError
from tasks.core.results import Chosen
from tests.unit import fake_project as fake
from tests.unit.fake_evidence import plant


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def chosen(**block: Any) -> Chosen:
    choose.run(fake.settings(**block))
    return artifact.read_json(artifact.CHOSEN, Chosen)


def test_best_within_the_budget_wins() -> None:
    plant()
    found = chosen(at_most={"accuracy_drop": 0.02})
    assert found.variant == "student"
    assert found.candidates["student_int8"].gaps == pytest.approx({"accuracy_drop": 0.035})
    assert found.candidates["student"].gaps == {}
    assert found.front == ("baseline", "student", "student_int8")


def test_without_a_budget_the_fastest_wins() -> None:
    plant()
    assert chosen().variant == "student_int8"


def test_bound_is_met_at_the_bound_itself() -> None:
    plant({"student": {"accuracy": 0.945}}, baseline=0.96)  # half a point is the interval
    assert chosen(at_most={"accuracy_drop": 0.02}).candidates["student"].gaps == {}


def test_nothing_fits_names_every_gap_and_writes_nothing() -> None:
    plant()
    with pytest.raises(NothingFitsError) as caught:
        chosen(at_most={"size_mb": 0.0001, "accuracy_drop": -0.01})
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:]] == list(fake.PARENTS)
    assert "accuracy_drop 0.05, 95 % sure of at most 0.055, at most -0.01 (misses by 0.065)" in lines[3]
    assert "size_mb 0.25, at most 0.0001" in lines[3]
    assert not artifact.CHOSEN.exists()


def test_what_only_the_interval_misses_is_not_chosen_and_the_error_says_what_to_do() -> None:
    plant({"baseline": {"size_bytes": 2_000_000}, "student": {"half": 0.02}})
    small = {"size_mb": 1.0}
    assert chosen(at_most={"accuracy_drop_estimate": 0.02, **small}).variant == "student"
    assert chosen(at_most={"accuracy_drop": 0.03, **small}).candidates["student"].upper["accuracy_drop"] == 0.03
    with pytest.raises(NothingFitsError) as caught:
        chosen(at_most={"accuracy_drop": 0.02, **small})
    last = str(caught.value).splitlines()[-1]
    assert last.startswith("accuracy_drop: student keeps the bound as measured") and "accuracy_drop_estimate" in last


@pytest.mark.parametrize(
    ("alarm", "why"), [({"constant": True}, "every row gets"), ({"never_predicted": ("dog",)}, "never answers dog")]
)
def test_a_variant_that_collapses_is_barred_unless_the_plan_allows_it(
    alarm: dict[str, Any], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plant({"student_int8": {"val_harm": alarm}})
    found = chosen()
    assert found.variant == "student" and found.candidates["student_int8"].barred.startswith(why)
    assert f"barred: student_int8: on val it {why}" in capsys.readouterr().out
    assert chosen(allow_collapse=True).variant == "student_int8"
    plant({name: {"val_harm": alarm} for name in fake.PARENTS})
    assert chosen().variant == "baseline"  # the reference cannot collapse against itself
    with pytest.raises(NothingFitsError, match=f"student_int8: barred, on val it {why}"):
        chosen(at_most={"size_mb": 0.6})


def test_ties_go_to_the_smaller_then_to_the_name() -> None:
    same = {"p95_ms": 1.0}
    plant({"baseline": same, "student": same, "student_int8": same})
    assert chosen().variant == "student_int8"
    even = {"p95_ms": 1.0, "size_bytes": 7}
    plant({"baseline": even, "student": even, "student_int8": even})
    assert chosen().variant == "baseline"


def test_what_the_intervals_do_not_tell_apart_is_named_and_the_choice_stays_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plant()  # p95 0.3 and 0.7 ms, each ratio known to five per cent
    assert chosen().tied == () and "does not tell" not in capsys.readouterr().out
    plant({"student": {"p95_ms": 0.31}})
    found = chosen()
    assert (found.variant, found.tied) == ("student_int8", ("student",))
    assert "latency_p95_ms does not tell student_int8 from student (0.96 to 1.11 times)" in capsys.readouterr().out
    assert chosen(at_most={"size_mb": 0.3}).tied == ()  # student does not fit
    assert chosen(prefer="latency_p50_ms").tied == ()  # 0.5 and 0.2 ms
    assert chosen(prefer="latency_p99_ms").tied == ("student",)
    assert chosen(prefer="size_mb").tied == ()  # no latency: it has no such interval


def test_tails_are_bounded_at_the_upper_end_of_their_ratio() -> None:
    plant({"student_int8": {"p95_ms": 1.45}})  # 0.967 of the reference's, within five per cent
    found = chosen(at_most={"latency_p95_ratio": 1.0, "size_mb": 0.6})
    assert found.variant == "student"
    assert found.candidates["student_int8"].gaps == pytest.approx({"latency_p95_ratio": 0.015})
    assert chosen(at_most={"latency_p95_ratio_estimate": 1.0}, prefer="size_mb").variant == "student_int8"
    assert chosen(at_most={"latency_p99_ratio": 1.1}, prefer="size_mb").variant == "student_int8"


def test_reference_may_win_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    plant({"student": {"p95_ms": 9.0}, "student_int8": {"p95_ms": 9.0}})
    assert chosen().variant == "baseline"
    assert "reference itself" in capsys.readouterr().out


def test_worst_class_drop_is_the_largest_loss_of_one_class() -> None:
    plant({"student": {"recall": {"cat": 0.99, "dog": 0.5, "eel": 0.9}}})
    found = chosen().candidates["student"].values
    assert found["worst_class_drop"] == pytest.approx(0.95 - 0.5)
    missed = chosen(at_most={"worst_class_drop": 0.4}).candidates["student"].gaps
    assert missed == pytest.approx({"worst_class_drop": 0.055})  # half a point is the interval


def test_every_metric_has_a_value() -> None:
    from typing import get_args

    from tasks.plan.schema import Metric

    plant()
    for candidate in chosen().candidates.values():
        assert set(candidate.values) == set(get_args(Metric))


def test_dominated_variant_is_off_the_front() -> None:
    plant({"student": {"accuracy": 0.5, "size_bytes": 10**9, "p50_ms": 99.0}})
    assert chosen().front == ("baseline", "student_int8")


def test_test_split_changes_nothing() -> None:
    plant()
    chosen()
    before = artifact.CHOSEN.read_bytes()
    plant({name: {"test_accuracy": 0.01} for name in fake.PARENTS})
    chosen()
    assert artifact.CHOSEN.read_bytes() == before
    assert ".test" not in inspect.getsource(choose)


def test_missing_bench_entry_is_named() -> None:
    plant(leave_out="student")
    with pytest.raises(ArtifactError, match=r"bench\.json: no entry for 'student' at onnxruntime, 1 thread, batch 1"):
        chosen()


def test_bench_of_another_reference_is_refused() -> None:
    plant()
    with pytest.raises(ArtifactError, match="against 'baseline', the plan says 'student'"):
        chosen(reference="student")


def test_missing_report_is_named() -> None:
    plant()
    artifact.evaluation_file("student").unlink()
    with pytest.raises(ArtifactError, match=r"student\.json: not there yet"):
        chosen()


def test_what_is_better_when_greater_may_be_preferred_and_bounded_from_below() -> None:
    plant()
    assert chosen(prefer="accuracy").variant == "baseline"
    assert chosen(prefer="rows_per_s", at_least={"accuracy": 0.93}).variant == "student"
    with pytest.raises(NothingFitsError, match=r"student: accuracy 0\.94, at least 0\.99 \(misses by 0\.05\)"):
        chosen(at_least={"accuracy": 0.99})


def test_money_may_decide() -> None:
    plant()
    found = chosen(at_most={"cost_per_million": 0.01}, worth={"price_per_hour": 0.05}, prefer="size_mb")
    # 0.5 ms a row are 7.2 million an hour
    assert found.candidates["student"].values["cost_per_million"] == pytest.approx(0.05 / 7.2)
    assert found.candidates["baseline"].gaps == pytest.approx({"cost_per_million": 0.05 / 3.6 - 0.01})
    assert found.worth["student"].joules_from == "estimate"


def test_axes_of_the_front_are_the_plans() -> None:
    plant({"student": {"size_bytes": 10}})
    assert chosen(axes=["accuracy", "latency_p50_ms"]).front == ("baseline", "student", "student_int8")
    assert chosen(axes=["accuracy", "size_mb"]).front == ("baseline", "student")
    assert chosen(axes=["rows_per_s", "latency_p95_ms"]).front == ("student_int8",)


def test_a_file_that_was_not_judged_counts_as_not_portable() -> None:
    from tasks.core.findings import Portability
    from tasks.core.results import Evaluation

    plant()
    for name, verdict in (("student", "portable by proof"), ("student_int8", "not judged")):
        file = artifact.evaluation_file(name)
        known = Portability(verdict=verdict, sentence="", layers=1)
        artifact.write_json(file, artifact.read_json(file, Evaluation).model_copy(update={"portability": known}))
    found = chosen(at_most={"portability_disagreement": 0.0})
    assert found.variant == "student" and found.candidates["student_int8"].gaps == {"portability_disagreement": 1.0}
