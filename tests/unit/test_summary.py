"""The table of a run: the verdict in one line, and a collapse on test that no win may stand above."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from flows.show import table
from tasks import choose, report
from tasks.core import artifact
from tasks.core.results import Evaluation, Summary
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
