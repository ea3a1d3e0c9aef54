"""`--json` on every command that reads: one JSON value alone on stdout, with keys that scripts can rely on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows import doctor
from flows.cli import app
from flows.comparison import Comparison
from flows.explain import Explanation
from tasks import choose, report
from tasks.core.results import Summary
from tasks.evidence.account import Account
from tests.unit import fake_evidence, fake_project

ROOT = Path(__file__).parents[2]
PLAN = """
seed: 7
threads: 1
data: {source: digits}
model: {arch: small_cnn}
variants:
  baseline: {from: data, technique: train, epochs: 1, lr: 0.1}
  student: {from: baseline, technique: distill, epochs: 1, lr: 0.1, student: {arch: small_cnn}}
  student_int8: {from: student, technique: distill, epochs: 1, lr: 0.1, student: {arch: small_cnn}}
bench: {threads: [1], batch: [1, 4]}
choose: {reference: baseline}
"""
STEP = {"variant", "technique", "accuracy", "size_bytes", "latency_ratio", "change"}
LINK = {"variant", "parent", "technique", "form", "params", "facts", "left_alone", "leaving", "warnings"}
LINK |= {"build_seconds"}
DIFFERENCE = {"metric", "engine", "threads", "batch", "a", "b", "change", "kind", "paired", "verdict"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "params", tmp_path / "params")
    (tmp_path / "params/plan.yaml").write_text(PLAN)
    fake_project.make_project()
    fake_evidence.plant()
    choose.run(fake_project.settings())
    report.run(fake_project.settings())


def told(*arguments: str, status: int = 0) -> Any:
    """What a command prints with --json; nothing else may be on stdout, and nothing on stderr."""
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == status, done.output
    assert not done.stderr and "\x1b" not in done.stdout
    return json.loads(done.stdout)


def test_explain() -> None:
    found = told("explain", "student_int8")
    assert set(found) == {"variant", "reference", "chosen", "chain", "waterfall"}
    assert set(found["chain"][0]) == LINK
    assert set(found["waterfall"]["steps"][0]) == STEP
    assert Explanation.model_validate(found).chain[0].variant == "baseline"


def test_compare() -> None:
    found = told("compare", "baseline", "student")
    assert set(found) == {"a", "b", "of", "chosen", "only_a", "only_b", "pairs"}
    assert set(found["pairs"][0]["differences"][0]) == DIFFERENCE
    metrics = [(d["metric"], d["batch"]) for d in found["pairs"][0]["differences"]]
    assert metrics[0] == ("test_accuracy", None) and metrics[-2:] == [("latency_p50_ms", 4), ("latency_p95_ms", 4)]
    assert Comparison.model_validate(found).of == "variants"


def test_report() -> None:
    assert Summary.model_validate(told("report")).reference == "baseline"


def test_worth() -> None:
    found = Account.model_validate(told("worth"))
    assert [line.variant for line in found.lines] == ["baseline", "student", "student_int8"] and found.spent is None


def test_plan_check() -> None:
    assert told("plan", "--check") == {"variants": ["baseline", "student", "student_int8"], "mistakes": []}


def test_use_without_a_name() -> None:
    found = told("use")
    assert {"name", "about"} == set(found[0]) and "digits" in [one["name"] for one in found]


def test_use_with_a_name_says_what_it_wrote(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLROOM_DATA", str(Path.cwd()))
    assert "params/plan.yaml" in told("use", "digits", "--force")["wrote"]


def test_doctor_keeps_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    for state, status in (("ok", 0), ("bad", 1)):
        finding = doctor.Finding("disk", state, "full", "make place")  # type: ignore[arg-type]
        monkeypatch.setattr(doctor, "checks", lambda finding=finding: [finding])
        assert told("doctor", status=status) == [
            {"name": "disk", "state": state, "found": "full", "advice": "make place"}
        ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explain", "studnet"], "did you mean 'student'?"),
        (["compare", "studnet", "baseline"], "'studnet': neither a variant"),
        (["use", "digit"], "did you mean 'digits'?"),
    ],
)
def test_an_error_leaves_stdout_empty_and_keeps_its_status(arguments: list[str], message: str) -> None:
    for flag in ([], ["--json"]):
        done = CliRunner().invoke(app, [*arguments, *flag])
        assert done.exit_code == 2 and done.stdout == "" and message in done.stderr


def test_the_same_for_people() -> None:
    for arguments in (["explain", "student"], ["compare", "baseline", "student"], ["report"]):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0 and "student" in done.stdout and "\x1b" not in done.stdout, done.output
