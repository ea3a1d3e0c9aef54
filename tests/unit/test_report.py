"""`report` on planted evidence: the table, the csv, and a page that says what the numbers say and loads nothing."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tasks import choose, report
from tasks.core import artifact
from tasks.core.errors import ArtifactError
from tasks.core.findings import Interval
from tasks.core.results import Evaluation, Summary
from tasks.evidence import verdict
from tasks.page.charts.sensitivity import sensitivity
from tasks.page.gathered import in_tree_order
from tests.unit import fake_evidence, fake_project


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fake_project.make_project()


def reported(changes: Any = None, **block: Any) -> str:
    fake_evidence.plant(changes)
    settings = fake_project.settings(**block)
    choose.run(settings)
    report.run(settings)
    return fake_project.text(artifact.PAGE)


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


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.said = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)
        for key, value in attrs:
            if key in ("src", "href", "xlink:href", "srcset", "action"):
                self.links.append(value or "")
            if key == "id":
                self.ids.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in ("meta", "link", "br"):
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said += data


def test_page_is_well_formed_and_loads_nothing() -> None:
    html = reported()
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    assert all(link.startswith(("#", "data:")) for link in reader.links)
    own = re.sub(r"<script>.*?</script>", "", html, flags=re.S)  # Plotly's own text names addresses that it never asks
    assert not re.search(r"url\((?!#|\"#)|@import|<script src|https?://", own)
    assert "default-src 'none'" in own
    assert len(reader.ids) == len(set(reader.ids))


def test_page_says_the_verdict_first() -> None:
    reader = Reader()
    reader.feed(reported(at_most={"accuracy_drop": 0.02}))
    said = re.sub(r"\s+", " ", reader.said)
    headline = said.index("student wins: 2.0× smaller, 2.0× faster")
    assert headline < said.index("95 % interval 1.90× to 2.11×") < said.index("Every variant")
    assert "1.00 points" in said and "of 60 test rows" in said
    assert "over budget: accuracy_drop" in said
    assert "All 1 rules hold" in said
    assert "Any 9000" in said


def figures(html: str) -> dict[str, Any]:
    """The page's charts, as it holds them, by their place."""
    found = re.findall(r'<script type="application/json" class="figure" data-for="([\w-]+)">(.*?)</script>', html, re.S)
    return {name: json.loads(text) for name, text in found}


def test_every_chart_has_a_place_with_a_name_for_screen_readers() -> None:
    html = reported()
    places = dict(re.findall(r'<div class="chart" id="([\w-]+)" role="img" aria-label="([^"]+)"', html))
    assert (
        set(places) == set(figures(html)) >= {"scatter", "waterfall-size", "latencies", "throughput", "class-changes"}
    )


def test_scatter_shows_every_variant_once_and_offers_every_axis() -> None:
    html = reported()
    axes = json.loads(re.findall(r'id="axes">(.*?)</script>', html, re.S)[0])
    assert {"accuracy on test, %", "latency p95, ms", "size, MB", "joules per request"} <= set(axes)
    traces = figures(html)["scatter"]["data"]
    shown = {n: (x, y) for t in traces for n, x, y in zip(t["text"], t["x"], t["y"], strict=True)}
    assert shown == {"baseline": (1.0, 94.0), "student": (0.5, 93.0), "student_int8": (0.2, 89.0)}
    assert all(len(values) == 3 for values in axes.values())


def test_charts_take_the_pages_colours_and_no_others_of_ours() -> None:
    text = json.dumps(figures(reported()))
    assert "@good" in text and "@front" in text
    assert "#0102" not in text


def test_waterfall_adds_up_to_the_leaf() -> None:
    bars, told = figures(reported())["waterfall-accuracy"]["data"]
    assert bars["x"] == told["x"] == ["baseline", "student", "student_int8", "in all"]
    assert sum(bars["y"][:-1]) == pytest.approx(bars["y"][-1]) == pytest.approx(89.0)
    ends = [base + change for base, change in zip(bars["base"], bars["y"], strict=True)]
    assert ends == pytest.approx([94.0, 93.0, 89.0, 89.0])
    assert bars["error_y"]["array"] == pytest.approx([1.0, 1.0, 1.0, 0.0])  # planted: 1 point to either side
    assert told["text"] == ["94", "-1", "-4", "89"]


def test_sensitivity_is_drawn_where_a_row_measured_it_and_said_to_be_missing_elsewhere() -> None:
    ranking = [{"layer": "a", "answers_changed": 0.01}, {"layer": "b", "answers_changed": 0.2}]
    chart = sensitivity({"mixed": {"sensitivity": ranking}, "plain": {}})
    assert chart is not None
    (heat,) = json.loads(chart.figure)["data"]
    assert (heat["x"], heat["y"], heat["z"]) == (["b", "a"], ["mixed"], [[20.0, 1.0]])
    assert sensitivity({"plain": {}}) is None
    assert "Not measured: no row quantizes with <code>keep_float</code>" in reported()


def test_checklist_is_filled_in_from_facts() -> None:
    html = reported(at_most={"accuracy_drop": 0.02})
    found = {title: state for state, title in re.findall(r'<li><span class="tag \w+">(\w+)</span><b>([^<]+)</b>', html)}
    assert len(found) == 11
    assert found["Baseline measured"] == found["Distillation considered"] == found["Drop within the limit"] == "done"
    assert found["INT8 tried"] == found["Structured pruning tried"] == "open"  # no row does either


def test_hurt_class_is_said_above_the_claims() -> None:
    fake_evidence.plant()
    name = "student_int8"
    path = artifact.evaluation_file(name)
    seen = artifact.read_json(path, Evaluation)
    hurt = seen.harm.model_copy(update={"never_predicted": ("dog",)})
    artifact.write_json(path, seen.model_copy(update={"harm": hurt}))
    settings = fake_project.settings()
    choose.run(settings)
    report.run(settings)
    html = fake_project.text(artifact.PAGE)
    assert html.index("Collapse: never answers dog") < html.index('<ul class="claims">')


def test_facts_are_escaped() -> None:
    html = reported()
    assert "&lt;script&gt;alert(1)" in html
    assert "<script>alert" not in html


def test_reference_that_wins_is_said_plainly() -> None:
    slow = {"p95_ms": 9.0}
    html = reported({"student": slow, "student_int8": slow})
    assert "baseline stays: nothing within the budget is better" in html


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


@pytest.mark.parametrize(
    ("ratio", "figure", "meaning"),
    [
        ((0.25, 0.2, 0.5), "4.0×", "faster"),
        ((2.0, 1.5, 3.0), "2.0×", "slower"),
        ((0.97, 0.9, 1.01), "≈ 1×", "no change in speed that can be told"),
    ],
)
def test_speed_is_claimed_only_when_the_interval_supports_it(
    ratio: tuple[float, float, float], figure: str, meaning: str
) -> None:
    claim = verdict.speed(Interval(value=ratio[0], low=ratio[1], high=ratio[2]))
    assert (claim.figure, claim.meaning) == (figure, meaning)


def test_interval_of_a_speed_up_is_turned_round() -> None:
    claim = verdict.speed(Interval(value=0.25, low=0.2, high=0.5))
    assert claim.basis == "95 % interval 2.00× to 5.00×"


def test_dvc_plots_page_needs_no_network() -> None:
    template = fake_project.text(Path(report.__file__).parents[1] / ".dvc" / "plots_template.html")
    assert template.count("{plot_divs}") == template.count("{refresh_tag}") == 1
    assert "{scripts}" not in template  # where DVC would put three scripts from a CDN
    assert set(re.findall(r"https?://[^\"]*", template)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xhtml",
    }
