"""What a step says of how long processors worked for it: its own seconds and its children's, and not those of sleep."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.reproduce import worked_s
from tasks.__main__ import main
from tasks.core import worked

ROOT = Path(__file__).parents[2]
BUSY = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"


def noted(tmp_path: Path, program: str) -> float:
    file = tmp_path / "step.worked"
    subprocess.run(
        [
            sys.executable,
            "-c",
            f"{program}\nfrom tasks.core import worked\nworked.note(__import__('pathlib').Path({str(file)!r}))",
        ],
        check=True,
    )
    found = worked.read(file)
    assert found is not None
    return found


def test_work_counts_the_childrens_too_and_waiting_does_not(tmp_path: Path) -> None:
    nothing = noted(tmp_path, "import time; time.sleep(0.6)")
    own = noted(tmp_path, BUSY)
    child = noted(tmp_path, f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}])")
    assert nothing < 0.6 and own >= 0.3 and child >= 0.3


def test_a_step_notes_it_beside_its_log_and_one_that_fails_leaves_no_older_note(tmp_path: Path) -> None:
    environment = {**os.environ, "STILLROOM_LOGS": str(tmp_path), "DVC_STAGE": "build@a", "PYTHONPATH": str(ROOT)}
    (tmp_path / "build@a.worked").write_text("1000\n")
    step = [sys.executable, "-c", "import sys; from tasks.__main__ import main; sys.exit(main(sys.argv[1:]))"]
    assert subprocess.run([*step, "schemas"], env=environment, cwd=tmp_path, check=False).returncode == 0
    found = worked.read(tmp_path / "build@a.worked")
    assert found is not None and 0 < found < 1000 and (tmp_path / "build@a.log").exists()
    assert subprocess.run([*step, "nonsense"], env=environment, cwd=tmp_path, check=False).returncode == 1
    assert worked.read(tmp_path / "build@a.worked") is None


def test_without_a_log_nothing_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STILLROOM_LOGS", raising=False)
    assert main([]) == 2 and not list(tmp_path.iterdir())


def test_only_a_computed_stage_has_worked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert worked_s("bench", "computed") is None
    file = Path(".stillroom/logs/bench.worked")
    file.parent.mkdir(parents=True)
    file.write_text("2.5\n")
    assert (worked_s("bench", "computed"), worked_s("bench", "reused")) == (2.5, None)
    file.write_text("")
    assert worked_s("bench", "computed") is None
