"""The charts: what is drawn is what was measured, each has a sentence and its numbers, and many stay readable."""

from __future__ import annotations

import json
import re

import pytest

from tasks.core import artifact
from tasks.core.results import Bench
from tasks.page.chart import signed
from tasks.page.charts.class_changes import MOST_CLASSES
from tasks.page.charts.sensitivity import sensitivity
from tasks.page.charts.throughput import throughput
from tests.unit import fake_evidence, fake_project
from tests.unit.page.planted import around, figures, reported, table, with_classes


def test_every_chart_has_a_place_with_a_sentence_and_its_numbers() -> None:
    html = reported()
    places = dict(re.findall(r'<div class="chart" id="([\w-]+)" role="img" aria-label="([^"]+)"', html))
    expected = {"scatter", "waterfall-size", "latencies", "throughput", "class-changes"}
    assert set(places) == set(figures(html)) >= expected
    for name, sentence in places.items():
        assert len(sentence) > 30
        rows = table(html, f"{name}-numbers")
        assert len(rows) > 1 and all(len(row) == len(rows[0]) for row in rows)


def test_scatter_shows_every_variant_once_and_offers_every_axis() -> None:
    html = reported(at_most={"accuracy_drop": 0.02})
    known = json.loads(re.findall(r'id="axes">(.*?)</script>', html, re.S)[0])
    assert {"accuracy on test, %", "latency p95, ms", "size, MB", "joules per request"} <= set(known["axes"])
    assert known["within"] == [True, True, False]
    traces = figures(html)["scatter"]["data"]
    shown = {n: (x, y) for t in traces for n, x, y in zip(t["text"], t["x"], t["y"], strict=True)}
    assert shown == {"baseline": (1.0, 94.0), "student": (0.5, 93.0), "student_int8": (0.2, 89.0)}
    assert all(len(values) == 3 for values in known["axes"].values())


def test_a_sweep_over_threads_is_a_line_a_count_or_the_axis_where_there_is_one_batch_size() -> None:
    fake_evidence.plant()
    planted = artifact.read_json(artifact.BENCH, Bench)

    def drawn(batches: tuple[int, ...]) -> dict[str, dict[str, float]]:
        each = [(n, b) for n in (1, 2) for b in batches]
        timings = {
            name: tuple(
                found[0].model_copy(update={"threads": n, "batch": b, "rows_per_s": 10.0 * n * b}) for n, b in each
            )
            for name, found in planted.timings.items()
        }
        chart = throughput(planted.model_copy(update={"timings": timings}), ("student",))
        return {line["name"]: dict(zip(line["x"], line["y"], strict=True)) for line in json.loads(chart.figure)["data"]}

    assert drawn((1, 4))["student, onnxruntime, 2 threads"] == {"1": 20.0, "4": 80.0} and len(drawn((1, 4))) == 6
    assert drawn((4,))["student"] == {"1": 40.0, "2": 80.0} and len(drawn((4,))) == 3


def test_charts_take_the_pages_colours_and_no_others_of_ours() -> None:
    text = json.dumps(figures(reported()))
    assert "@good" in text and "@front" in text
    assert "#0102" not in text


def test_waterfall_adds_up_to_the_leaf_and_shows_how_sure_it_is() -> None:
    html = reported()
    bars, told = figures(html)["waterfall-accuracy"]["data"]
    assert bars["x"] == told["x"] == ["baseline", "student", "student_int8", "in all"]
    assert sum(bars["y"][:-1]) == pytest.approx(bars["y"][-1]) == pytest.approx(89.0)
    ends = [base + change for base, change in zip(bars["base"], bars["y"], strict=True)]
    assert ends == pytest.approx([94.0, 93.0, 89.0, 89.0])
    assert bars["error_y"]["array"] == pytest.approx([1.0, 1.0, 1.0, 0.0])  # planted: 1 point to either side
    assert told["text"] == ["94", "-1", "-4", "89"]
    low, high = figures(html)["waterfall-accuracy"]["layout"]["meta"]["range"]["student_int8"]
    assert low < 88.0 and high > 95.0
    assert table(html, "waterfall-latency-numbers")[2][1:4] == ["student", "0.5", "0.475 to 0.525"]


def test_sensitivity_is_drawn_where_a_row_measured_it_and_said_to_be_missing_elsewhere() -> None:
    ranking = [{"layer": "a", "answers_changed": 0.01}, {"layer": "b", "answers_changed": 0.2}]
    chart = sensitivity({"mixed": {"sensitivity": ranking}, "plain": {}})
    assert chart is not None
    (heat,) = json.loads(chart.figure)["data"]
    assert (heat["x"], heat["y"], heat["z"]) == (["b", "a"], ["mixed"], [[20.0, 1.0]])
    assert "b, where 20 % of answers change" in chart.label
    assert sensitivity({"plain": {}}) is None
    assert "Not measured: no row quantizes with <code>keep_float</code>" in reported()


def test_of_a_hundred_classes_those_that_moved_are_drawn_and_all_are_told() -> None:
    drops = {f"c{k:03}": around(0.001 * k) for k in range(100)}
    html = reported(with_classes({name: {"harm": {"recall_drop": drops}} for name in fake_project.PARENTS}))
    (heat,) = figures(html)["class-changes"]["data"]
    assert heat["x"] == [f"c{k:03}" for k in range(100 - MOST_CLASSES, 100)]
    assert heat["z"][0][-1] == pytest.approx(-9.9)
    assert len(table(html, "class-changes-numbers")) == 1 + 100


def test_one_collapsed_variant_does_not_pale_the_others() -> None:
    small, great = (
        {"recall_drop": {f"c{k}": around(0.01) for k in range(20)}},
        {"recall_drop": {"c0": around(1.0), **{f"c{k}": around(0.01) for k in range(1, 20)}}},
    )
    html = reported(
        with_classes({name: {"harm": great if name == "student" else small} for name in fake_project.PARENTS})
    )
    (heat,) = figures(html)["class-changes"]["data"]
    assert (heat["zmin"], heat["zmax"]) == (pytest.approx(-1.0), pytest.approx(1.0))


def test_groups_are_drawn_and_told_with_their_intervals() -> None:
    drops = {"young": around(0.005), "old": around(0.08, 0.03)}
    hurt = {"group_drop": drops, "hurt_groups": ("old",)}
    html = reported({"student": {"harm": hurt}, "student_int8": {"harm": hurt}})
    old, young = figures(html)["group-changes"]["data"]
    assert (young["name"], old["name"]) == ("young", "old")
    assert old["x"] == pytest.approx([-8.0, -8.0]) and old["error_x"]["array"] == pytest.approx([3.0, 3.0])
    numbers = table(html, "group-changes-numbers")
    assert numbers[0] == ["variant", "old, points", "young, points"]
    assert numbers[1] == ["student", "-8.00 (-11.00 to -5.00)", "-0.50 (-1.50 to +0.50)"]
    assert "Hurt: group old lost 8.00 points" in html
    assert "group-changes" not in figures(reported())  # data without groups


def test_signs_are_those_of_what_is_shown() -> None:
    assert [signed(x) for x in (0.254, -1.0, -0.001, 0.0, 0.004)] == ["+0.25", "-1.00", "0.00", "0.00", "0.00"]
