"""`report` on planted evidence: the table, the csv, and a page that says what the numbers say and loads nothing."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from tasks import choose, report
from tasks.core import artifact
from tasks.core.errors import ArtifactError
from tasks.core.results import Summary
from tasks.page.gathered import in_tree_order
from tests.unit import fake_evidence, fake_project
from tests.unit.page.planted import reported


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fake_project.make_project()


def test_summary_is_in_tree_order_and_on_test() -> None:
    reported(at_most={"accuracy_drop": 0.02})
    summary = artifact.read_json(artifact.SUMMARY, Summary)
    assert [row.variant for row in summary.rows] == ["baseline", "student", "student_int8"]
    assert (summary.chosen, summary.threads, summary.batch) == ("student", 1, 1)
    student = summary.rows[1]
    assert student.accuracy == pytest.approx(0.93)  # planted: test is 0.01 below val
    assert student.accuracy_drop == pytest.approx(0.01)
    assert student.latency_ratio.value == 0.5
    assert [row.chosen for row in summary.rows] == [False, True, False]


def test_tree_order_puts_children_under_their_parent() -> None:
    rows = fake_project.settings().plan.variants
    late = rows["student"].model_copy(update={"name": "late", "parent": "baseline"})
    shuffled = {"baseline": rows["baseline"], "late": late, **rows}
    order = list(in_tree_order(shuffled))
    assert order == [("baseline", 0), ("late", 1), ("student", 1), ("student_int8", 2)]


def test_csv_has_a_line_a_variant_with_units() -> None:
    reported()
    with artifact.PARETO.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == "variant technique accuracy size_mb latency_p50_ms latency_ratio on_front chosen".split()
    assert [row["variant"] for row in rows] == list(fake_project.PARENTS)
    assert (rows[1]["size_mb"], rows[1]["latency_p50_ms"], rows[2]["chosen"]) == ("0.5", "0.5", "true")


def test_same_evidence_same_bytes() -> None:
    assert reported() == reported()


def test_bench_of_another_sweep_is_named() -> None:
    fake_evidence.plant()
    choose.run(fake_project.settings())
    fake_evidence.plant(leave_out="student")
    with pytest.raises(ArtifactError, match="no entry for 'student'"):
        report.run(fake_project.settings())


def test_choice_of_another_plan_is_refused() -> None:
    fake_evidence.plant()
    choose.run(fake_project.settings())
    settings = fake_project.settings(reference="student")
    with pytest.raises(ArtifactError, match="made from another plan"):
        report.run(settings)


def test_dvc_plots_page_needs_no_network() -> None:
    template = fake_project.text(Path(report.__file__).parents[1] / ".dvc" / "plots_template.html")
    assert template.count("{plot_divs}") == template.count("{refresh_tag}") == 1
    assert "{scripts}" not in template  # where DVC would put three scripts from a CDN
    assert set(re.findall(r"https?://[^\"]*", template)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xhtml",
    }
