"""The sections: every fact is the one that was measured, in figures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.core.contract import Card
from tasks.core.findings import Portability
from tasks.page.again import plan_text
from tasks.page.checklist import checklist
from tasks.page.gathered import gather
from tasks.page.said import promotable
from tasks.page.seen import seen
from tasks.plan import load
from tasks.plan.service import Control, Shadow
from tests.unit import fake_project
from tests.unit.page.planted import around, reported, table

EXAMPLES = sorted((Path(__file__).parents[3] / "params" / "examples").iterdir())


def checked(**rollout: Any) -> dict[str, tuple[str, str]]:
    reported(at_most={"accuracy_drop": 0.02})
    settings = fake_project.settings(at_most={"accuracy_drop": 0.02})
    settings = settings.model_copy(update={"rollout": settings.rollout.model_copy(update=rollout)})
    return {item.title: (item.state, item.because) for item in checklist(seen(settings, gather(settings.plan)))}


def test_checklist_is_filled_in_from_facts() -> None:
    html = reported(at_most={"accuracy_drop": 0.02})
    found = {title: state for state, title in re.findall(r'<li><span class="tag \w+">(\w+)</span><b>([^<]+)</b>', html)}
    assert len(found) == 11
    assert found["Baseline measured"] == found["Distillation considered"] == found["Drop within the limit"] == "done"
    assert found["INT8 tried"] == found["Structured pruning tried"] == "open"  # no row does either


def test_monitoring_and_ab_test_are_told_from_rollout() -> None:
    found = checked()
    state, told = found["Monitoring set up"]
    assert state == "done" and re.search(r"\d+ Prometheus alerts and a Grafana dashboard of \d+ panels", told)
    assert "p95 100 ms" in told and "notify.webhook is empty" in told
    state, told = found["A/B test planned"]
    assert state == "done" and "in stages of 1%, 10%, 50%, 90%, each after 500 rows" in told
    assert checked(treatment_share=0.0)["A/B test planned"][0] == "open"
    assert "stages" not in checked(stages=())["A/B test planned"][1]


def test_monitoring_is_open_where_nobody_judges_or_nothing_is_compared() -> None:
    state, told = checked(control=Control(url=""))["Monitoring set up"]
    assert state == "open" and told.startswith("control.url is empty: no keeper judges")
    state, told = checked(shadow=Shadow(share=0))["Monitoring set up"]
    assert state == "open" and told.startswith("shadow.share is 0") and "control.url" not in told


def judged(**changes: Any) -> dict[str, tuple[str, str]]:
    """The list of a project in which something is otherwise than `seen` tells."""
    reported()
    settings = fake_project.settings()
    found = seen(settings, gather(settings.plan))._replace(**changes)
    return {item.title: (item.state, item.because) for item in checklist(found)}


def cards(**techniques: tuple[str, str, dict[str, Any]]) -> dict[str, Card]:
    """Cards of rows, by (parent, technique, parameters)."""
    return {
        name: Card(variant=name, parent=parent, technique=technique, form="torch", params=params, facts={})
        for name, (parent, technique, params) in techniques.items()
    }


def test_a_baseline_that_is_compressed_or_was_not_measured_is_open() -> None:
    assert judged()["Baseline measured"] == ("done", "baseline: 60 test rows, 100 timed calls")
    state, told = judged(reference="student_int8")["Baseline measured"]
    assert state == "open" and "compressed itself, by student_int8 (distill), student (distill)" in told
    reported()
    timings = {
        name: t.model_copy(update={"calls": 0}) for name, t in gather(fake_project.settings().plan).timings.items()
    }
    assert judged(timings=timings)["Baseline measured"][0] == "open"


def test_iterated_is_a_technique_in_two_rows_or_one_that_tries_again_by_itself() -> None:
    assert judged()["Iterated"][0] == "done" and "distill in 2 rows" in judged()["Iterated"][1]
    base, once = ("data", "train", {}), ("baseline", "prune", {"rounds": 1})
    plain = cards(baseline=base, student=once, student_int8=("student", "quantize", {"rounds": None}))
    state, told = judged(cards=plain)["Iterated"]
    assert state == "open" and told.startswith("no technique was tried in a second way") and "0 2 * * *" in told
    trained = cards(baseline=base, student=("data", "train", {}), student_int8=once)
    assert judged(cards=trained)["Iterated"][0] == "open", "to train twice is no attempt at compression"
    lottery = cards(baseline=base, student=("baseline", "lottery", {"rounds": 3}), student_int8=once)
    assert judged(cards=lottery)["Iterated"] == ("done", f"student: 3 rounds. {told.partition('parent. ')[2]}")


def test_portability_has_a_row_for_every_int8_file() -> None:
    sentence = "12 of 256 rows of val get another class"
    differs = Portability(
        verdict="differs",
        sentence=sentence,
        layers=9,
        layers_at_risk=("a", "b"),
        rows=256,
        disagreement=12 / 256,
        logits_difference=0.9,
    )
    proven = Portability(verdict="portable by proof", sentence="no sum can saturate", layers=9)
    html = reported({"student_int8": {"portability": differs}, "student": {"portability": proven}})
    assert table(html, "travel")[1:] == [
        ["student", "portable by proof", "0 of 9", "none needed", "–", "–"],
        ["student_int8", "differs", "2 of 9", "256", "4.69", "0.9"],
    ]
    assert sentence in html
    assert "No variant multiplies 8-bit integers" in reported()


def test_worth_has_price_energy_carbon_and_break_even() -> None:
    html = reported(worth={"price_per_hour": 3.6, "watts_per_core": 10.0, "grams_co2_per_kwh": 360.0})
    rows = {row[0]: row[1:] for row in table(html, "worth")[1:]}
    # 1 ms a row at 1000 rows/s: 3.6 USD an hour is 1 USD a million; 10 mJ; 1000 g a million
    assert rows["baseline"] == ["1", "–", "10 mJ", "1", "–"]
    # half of it; an hour of 10 W is 36 kJ, at 5 mJ saved a request: 7.2 million requests
    assert rows["student"] == ["0.5", "+50%", "5 mJ", "0.5", "7,200,000"]
    assert "3.6 USD an hour for 1 core(s)" in html and "10 W a busy core" in html


def test_harm_of_every_variant_is_told() -> None:
    worst = {"cat": around(0.2), "dog": around(0.0), "eel": around(-0.1)}
    gained = {"recall_drop": {name: around(-0.01, 0.02) for name in worst}}
    hurt = {"recall_drop": worst, "hurt_classes": ("cat",), "flips": 0.03}
    html = reported({"student": {"harm": hurt}, "student_int8": {"harm": gained}})
    rows = {row[0]: row[1:] for row in table(html, "harms")[1:]}
    assert set(rows) == {"student", "student_int8"}
    assert rows["student"][0] == "hurts cat" and rows["student"][2] == "3.00"
    assert rows["student"][4] == "cat: -20.00 (-21.00 to -19.00)"
    assert rows["student_int8"][0] == "no harm that can be told" and rows["student_int8"][4] == "none lost"


def test_gates_are_those_that_promote_will_check() -> None:
    reported()
    settings = fake_project.settings()
    strict = settings.promotion.model_copy(update={"at_most": {"size_mb": 0.1}, "at_least": {"agreement": 0.5}})
    gates = promotable(settings.model_copy(update={"promotion": strict}), gather(settings.plan))
    assert [(gate.name, gate.holds) for gate in gates if not isinstance(gate, str)] == [
        ("size_mb", False),
        ("agreement", True),
    ]
    fair = settings.promotion.model_copy(update={"at_most": {"worst_group_drop_high": 0.1}})
    told = promotable(settings.model_copy(update={"promotion": fair}), gather(settings.plan))
    assert isinstance(told, str) and "the data have no groups" in told


def test_page_says_how_to_make_it_again() -> None:
    html = reported()
    for command in (
        "stillroom run",
        "dvc repro",
        "stillroom report",
        "python -m tasks build student_int8",
        "make venv",
    ):
        assert command in html
    assert f"{'2' * 64}  artifacts/student_int8/model.onnx" in html


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_plan_of_the_page_read_back_is_the_same_plan(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = Path(__file__).parents[3] / "params"
    (tmp_path / "params").mkdir()
    for name in ("expectations", "promotion", "rollout", "schedule"):
        (tmp_path / "params" / f"{name}.yaml").write_text((params / f"{name}.yaml").read_text(encoding="utf-8"))
    plan = tmp_path / "params" / "plan.yaml"
    plan.write_text((folder / "plan.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setenv("STILLROOM_DATA", "/somewhere/of/mine")
    first = load().plan
    plan.write_text(plan_text(first), encoding="utf-8")
    assert load().plan == first
    assert "/somewhere" not in plan_text(first)
    assert list(yaml.safe_load(plan_text(first))["variants"]) == list(first.variants)


def test_facts_are_escaped() -> None:
    html = reported()
    assert "&lt;script&gt;alert(1)" in html
    assert "<script>alert" not in html
