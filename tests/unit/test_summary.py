"""The table of a run: the verdict in one line, and a collapse on test that no win may stand above."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from flows.cli import app
from flows.show import table
from tasks import choose, report
from tasks.core import artifact
from tasks.core.findings import Portability
from tasks.core.results import Bench, Chosen, Evaluation, Summary
from tasks.track import note
from tasks.track.note import Links, Logged
from tests.unit import fake_evidence, fake_project


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fake_project.make_project()
    fake_evidence.plant()


def summarized() -> Summary:
    settings = fake_project.settings(at_most={"accuracy_drop": 0.02})
    choose.run(settings)
    report.run(settings)
    return artifact.read_json(artifact.SUMMARY, Summary)


def shown(summary: Summary) -> str:
    text = io.StringIO()
    Console(file=text, width=120).print(table(summary, 120))
    return text.getvalue()


def test_the_headline_is_the_verdict_and_a_drop_within_chance_is_called_that() -> None:
    found = summarized()
    assert found.headline == "student wins: 2.0× smaller, 2.0× faster, 1.00 points lost on test, within chance"
    assert found.rows[1].drop_interval.high == pytest.approx(0.01) and "+1.00 (≤ 1.00)" in shown(found)


def test_a_variant_that_collapses_on_test_alone_does_not_win() -> None:
    """Chosen on val, where it was sound."""
    path = artifact.evaluation_file("student")
    seen = artifact.read_json(path, Evaluation)
    hurt = seen.harm.model_copy(update={"never_predicted": ("dog",)})
    artifact.write_json(path, seen.model_copy(update={"harm": hurt}))
    found = summarized()
    assert found.chosen == "student" and found.headline.startswith("Do not ship student: never answers dog")
    assert found.rows[1].collapsed and "collapsed" in shown(found)


def test_what_the_page_has_to_weigh_the_terminal_has_too() -> None:
    bench = artifact.read_json(artifact.BENCH, Bench)
    loud = bench.noise.model_copy(update={"disturbances": ("others took 40 % of the processors",)})
    artifact.write_json(artifact.BENCH, bench.model_copy(update={"noise": loud}))
    path = artifact.evaluation_file("student")
    clips = Portability(verdict="differs", sentence="3 of 256 rows get another class", layers=4, rows=256)
    artifact.write_json(path, artifact.read_json(path, Evaluation).model_copy(update={"portability": clips}))
    summarized()
    chosen = artifact.read_json(artifact.CHOSEN, Chosen).model_copy(update={"tied": ("student_int8",)})
    artifact.write_json(artifact.CHOSEN, chosen)
    report.run(fake_project.settings(at_most={"accuracy_drop": 0.02}))
    told = artifact.read_json(artifact.SUMMARY, Summary).cautions
    page, terminal = artifact.PAGE.read_text(), CliRunner().invoke(app, ["report"]).stdout
    assert [text.split(":")[0] for text in told] == [
        "A close call",
        "INT8",
        "The machine was not quiet while it was timed",
    ]
    for text in told:
        assert f"<li>{text}</li>" in page and f"to weigh before shipping: {text}" in terminal


def test_a_summary_of_an_earlier_version_has_nothing_to_weigh_and_is_of_onnx_runtime() -> None:
    known = json.loads(summarized().model_dump_json())
    del known["cautions"], known["engine"]
    artifact.write_json(artifact.SUMMARY, known)
    old = artifact.read_json(artifact.SUMMARY, Summary)
    assert old.cautions == () and old.on_engine == ""
    done = CliRunner().invoke(app, ["report"])
    assert done.exit_code == 0 and "to weigh" not in done.stdout


def test_another_engine_than_onnx_runtime_is_named_with_its_latencies() -> None:
    bench = artifact.read_json(artifact.BENCH, Bench)
    other = {
        name: tuple(t.model_copy(update={"engine": "openvino"}) for t in timings)
        for name, timings in bench.timings.items()
    }
    assert "openvino" not in shown(summarized())
    artifact.write_json(artifact.BENCH, bench.model_copy(update={"timings": other}))
    given = fake_project.settings(at_most={"accuracy_drop": 0.02})
    block = given.plan.bench.model_copy(update={"engines": ("openvino",)})
    given = given.model_copy(update={"plan": given.plan.model_copy(update={"bench": block})})
    choose.run(given)
    report.run(given)
    found = artifact.read_json(artifact.SUMMARY, Summary)
    assert found.engine == "openvino" and "ratio to baseline on openvino with" in shown(found)
    assert "Latency on openvino at 1 thread and batch 1" in artifact.PAGE.read_text()
    logged = dict.fromkeys(fake_project.PARENTS, Logged("1", "models:/m", reused=False))
    assert "latency is on openvino at 1 thread(s) and batch 1" in note.table(found, logged, Links("1", "1"))
