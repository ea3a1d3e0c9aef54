"""`stillroom explain`: the chain from its cards, what it cost, what was left alone, and what cannot be explained."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from flows import show_steps
from flows.explain import Explanation, explain
from tasks import choose, report
from tasks.core import artifact
from tasks.core.contract import Card
from tasks.core.errors import ArtifactError, PlanError
from tasks.core.last_run import RUN_RECORD
from tasks.core.recipe import RecoverParams
from tasks.core.results import Bench
from tests.unit import fake_evidence, fake_project

PLAN = fake_project.settings().plan


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fake_project.make_project()


def reported() -> None:
    fake_evidence.plant()
    choose.run(fake_project.settings())
    report.run(fake_project.settings())


def shown(found: Explanation, width: int = 120) -> str:
    text = io.StringIO()
    show_steps.show(Console(file=text, width=width), found)
    return text.getvalue()


def test_the_chain_goes_from_the_first_row_down_with_facts_and_what_was_left_alone() -> None:
    reported()
    found = explain(PLAN, "student_int8")
    assert [link.variant for link in found.chain] == ["baseline", "student", "student_int8"]
    assert found.chain[1].params == {"lr": 0.1} and found.chain[1].facts["epochs"] == 3
    assert found.chain[1].left_alone == {"left_alone": ["<script>alert(1)</script>"]}
    assert found.waterfall is not None and len(found.waterfall.steps) == 3 and found.chosen is True


def test_build_seconds_are_those_of_when_a_row_was_computed() -> None:
    stages = {
        "build@baseline": {"state": "computed", "began": 1.0, "seconds": 12.5, "computed_s": 12.5},
        "build@student": {"state": "reused", "began": 1.0, "seconds": 0.1, "computed_s": 3.0},
        "evaluate@student_int8": {"state": "computed", "began": 1.0, "seconds": 7.0},
    }
    artifact.write_json(RUN_RECORD, {"flow_run_id": "x", "stages": stages})
    assert [link.build_seconds for link in explain(PLAN, "student_int8").chain] == [12.5, 3.0, None]
    RUN_RECORD.write_text("{")
    with pytest.raises(ArtifactError, match=r"run\.json"):
        explain(PLAN, "student")


def test_what_was_built_but_not_compared_is_explained_without_a_waterfall() -> None:
    found = explain(PLAN, "student")
    assert found.waterfall is None and found.chosen is None
    assert "not compared yet" in shown(found)


def test_warnings_of_the_plan_are_repeated() -> None:
    row = PLAN.variants["student"].model_copy(update={"params": RecoverParams(epochs=1, lr=0.1, temperature=50)})
    plan = PLAN.model_copy(update={"variants": {**PLAN.variants, "student": row}})
    assert "temperature 50" in explain(plan, "student").chain[1].warnings[0]


def test_warnings_on_the_card_are_told_apart_from_its_facts() -> None:
    path = artifact.variant_folder("student") / "card.json"
    card = artifact.read_json(path, Card)
    artifact.write_json(path, card.model_copy(update={"facts": {**card.facts, "warnings": ["96% stay in float"]}}))
    found = explain(PLAN, "student")
    assert found.chain[1].warnings == ("96% stay in float",) and "warnings" not in found.chain[1].facts
    assert "warning: 96% stay in float" in shown(found)


def test_errors_name_the_nearest_variant_or_the_file() -> None:
    with pytest.raises(PlanError, match=r"did you mean 'student'.*allowed: baseline, student"):
        explain(PLAN, "studnet")
    path = artifact.variant_folder("student") / "card.json"
    card = artifact.read_json(path, Card).model_copy(update={"technique": "prune"})
    artifact.write_json(path, card)
    with pytest.raises(ArtifactError, match="made by prune of baseline, the plan says distill of baseline"):
        explain(PLAN, "student_int8")
    path.unlink()
    with pytest.raises(ArtifactError, match="not there yet"):
        explain(PLAN, "student")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_it_fits_its_terminal_and_has_no_colour_when_piped(width: int) -> None:
    reported()
    text = shown(explain(PLAN, "student_int8"), width)
    assert "\x1b" not in text and max(map(len, text.splitlines())) <= width
    assert ("%)" in text) == (width == 120)
    if width >= 80:
        assert "0.50 [0.47," in text  # whole, on one line
    for figure in ("94.00%", "-1.00", "-500.0", "0.50"):
        assert figure in text


EXITS = {
    "exit_accuracy": {"2": 0.2, "5": 0.9, "10": 0.95, "end": 0.97},
    "exit_macs": {"10": 3_000_000, "5": 1_000_000, "end": 4_500_000},
    "exit_share": {"10": 0.25, "5": 0.5, "end": 0.25},
    "macs_before": 4_000_000,
    "macs_expected": 2_375_000,
}
UNITS = {"share_by_units": {"1": [0.75, 0.25], "3": [0.5, 0.0, 0.5]}, "macs_before": 100, "macs_expected": 60}


def with_facts(facts: dict[str, object]) -> Explanation:
    path = artifact.variant_folder("student") / "card.json"
    card = artifact.read_json(path, Card)
    artifact.write_json(path, card.model_copy(update={"facts": facts}))
    return explain(PLAN, "student")


def test_rows_of_early_exits_are_told_in_the_order_in_which_they_leave() -> None:
    found = with_facts(EXITS)
    assert found.chain[0].leaving is None, "every row of a plain network costs the same"
    leaving = found.chain[1].leaving
    assert leaving is not None and leaving.mean_ms is None and leaving.work == pytest.approx(0.59375)
    assert [(p.name, p.share, p.accuracy) for p in leaving.places] == [
        ("5", 0.5, 0.9), ("10", 0.25, 0.95), ("end", 0.25, 0.97),
    ]  # fmt: skip
    text = shown(found)
    lines = {line.split()[0]: line for line in text.splitlines() if "█" in line}
    assert list(lines) == ["5", "10", "end"] and lines["5"].count("█") == 2 * lines["end"].count("█") == 10
    assert "expected work 2.375 of 4.000 million MACs a row (59%)" in " ".join(text.split())


def test_the_mean_latency_is_the_benchmarks_of_the_first_point() -> None:
    reported()
    bench = artifact.read_json(artifact.BENCH, Bench)
    timings = tuple(
        t.model_copy(update={"by_mean": True, "round_ms": tuple(t.batch * ms for ms in (1.0, 3.0, 2.0))})
        for t in bench.timings["student"]
    )
    artifact.write_json(
        artifact.BENCH, bench.model_copy(update={"timings": {**bench.timings, "student": timings[::-1]}})
    )
    found = with_facts(EXITS)
    assert found.chain[1].leaving is not None and found.chain[1].leaving.mean_ms == 2.0
    assert "a call takes 2 ms in the mean" in " ".join(shown(found).split())


def test_units_of_adaptive_stages_are_told_stage_by_stage() -> None:
    leaving = with_facts(UNITS).chain[1].leaving
    assert leaving is not None and [(p.name, p.share) for p in leaving.places][1:3] == [
        ("stage 1, 2 of 2 units", 0.25), ("stage 3, 1 of 3 units", 0.5),
    ]  # fmt: skip
