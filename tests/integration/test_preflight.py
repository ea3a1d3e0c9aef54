"""The rehearsal of a run: green where the run would be, one clear error where it would not, and nothing left behind."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.integration.conftest import Checkout, environment

pytestmark = pytest.mark.integration
STEPS = [
    "prepare",
    *(f"{verb}@{row}" for verb in ("build", "evaluate") for row in ("baseline", "pruned50", "baseline_int8")),
    *("bench", "choose", "package", "report", "track"),
]
OWN_TECHNIQUE = '''"""Fails as a missing library would."""

from tasks.core.contract import Params as Base

TAKES, GIVES = "torch", "torch"


class Params(Base):
    """None."""


def apply(parent, data, params):
    """Fail."""
    import a_library_that_is_not_there
'''


@pytest.fixture(scope="module")
def checkout(new_checkout: Callable[[str], Checkout]) -> Checkout:
    return new_checkout("preflight")


def contents(checkout: Checkout) -> dict[str, str]:
    """SHA-256 of every file, but for what Python, DVC and the tests' own caches keep."""
    aside = ("__pycache__", ".git", "tmp")
    return {
        str(path.relative_to(checkout.root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(checkout.root.rglob("*"))
        if path.is_file() and not set(aside) & set(path.relative_to(checkout.root).parts)
    }


def processes(root: Path) -> list[psutil.Process]:
    """The processes at work in the rehearsal's folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(root) in process.cwd():
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def test_a_rehearsal_estimates_every_step_and_writes_nothing(checkout: Checkout) -> None:
    before = contents(checkout)
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "run", "--preflight", "--json"],
        cwd=checkout.root,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)
    assert done.stderr == ""
    assert [step["step"] for step in told["steps"]] == STEPS
    assert all(step["seconds"] > 0 and step["peak_mb"] > 10 for step in told["steps"])
    assert told["warnings"] == [] and told["disk_mb"] > 0.1
    assert contents(checkout) == before
    assert not (checkout.root / ".stillroom/preflight").exists()


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (
            "params/plan.yaml",
            "scheme: static}",
            "scheme: static}\n  mine: {from: pruned50, technique: mine}",
            ["build@mine would fail", "No module named 'a_library_that_is_not_there'"],
        ),
        ("params/plan.yaml", "accuracy_drop: 0.9", "size_mb: 0.001", ["choose would fail", "at most 0.001"]),
        (
            "params/rollout.yaml",
            "sqlite:///.stillroom/control/rollout.db",
            "mysql://db/x",
            ["serve would fail", "control.url: 'mysql'"],
        ),
    ],
)
def test_a_late_failure_is_one_clear_error(checkout: Checkout, file: str, old: str, new: str, said: list[str]) -> None:
    technique, kept = checkout.root / "tasks/techniques/mine.py", (checkout.root / file).read_text()
    technique.write_text(OWN_TECHNIQUE)
    checkout.edit(file, old, new)
    shutil.rmtree(checkout.root / ".stillroom/preflight", ignore_errors=True)
    before = contents(checkout)
    try:
        text = checkout.stillroom("run", "--preflight", ok=False)
        assert all(each in text for each in said) and "Traceback" not in text, text
        logs = checkout.root / ".stillroom/preflight/logs"
        assert str(logs.relative_to(checkout.root)) in text
        assert contents(checkout).keys() - before.keys() == {str(p.relative_to(checkout.root)) for p in logs.iterdir()}
        assert not processes(checkout.root)
    finally:
        technique.unlink()
        (checkout.root / file).write_text(kept)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_nothing(checkout: Checkout, number: signal.Signals) -> None:
    shutil.rmtree(checkout.root / ".stillroom/preflight", ignore_errors=True)
    before = contents(checkout)
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "run", "--preflight"],
        cwd=checkout.root,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    logs = checkout.root / ".stillroom/preflight/logs"
    until = time.monotonic() + 120
    while not (logs / "build@baseline.log").exists():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number, said
    assert "Traceback" not in said and "nothing of the run was begun" in said
    assert contents(checkout) == before
    assert not (checkout.root / ".stillroom/preflight").exists()
    assert not processes(checkout.root)


def test_json_goes_with_preflight(checkout: Checkout) -> None:
    assert "--json goes with --preflight" in checkout.stillroom("run", "--json", ok=False)
