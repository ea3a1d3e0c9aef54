"""A checkout of this repository's own files in a temporary folder, with the smoke plan in place of the real one."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Checkout:
    """A temporary checkout, and the ways a person drives it."""

    root: Path

    def call(self, *arguments: str, ok: bool = True) -> str:
        """Run `python ARGUMENTS` there; its output. Asserts success unless `ok` is false, then failure."""
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.root, env=environment(), capture_output=True, text=True, timeout=600
        )
        text = done.stdout + done.stderr
        assert (done.returncode == 0) == ok, f"{arguments} ended with {done.returncode}:\n{text}"
        return text

    def dvc(self, *arguments: str, ok: bool = True) -> str:
        """The `dvc` command."""
        return self.call("-m", "dvc", *arguments, ok=ok)

    def stillroom(self, *arguments: str, ok: bool = True) -> str:
        """The `stillroom` command, of this checkout's own code."""
        return self.call("-m", "flows.cli", *arguments, ok=ok)

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace one text in a file; the text must be there."""
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {file}"
        path.write_text(text.replace(old, new), encoding="utf-8")


def environment() -> dict[str, str]:
    """What a person's shell has with the environment activated, and nothing of the test's own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "STILLROOM_", "MLFLOW_", "DVC_"))}
    return {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}", "COLUMNS": "160"}


@pytest.fixture(scope="session")
def new_checkout(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Checkout]:
    """Makes checkouts: what git would clone now, uncommitted edits included, with smoke.yaml as the plan."""

    def make(name: str) -> Checkout:
        root = tmp_path_factory.mktemp(name) / "checkout"
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
        )
        for file in listed.stdout.decode().splitlines():
            if file.startswith(("tests/", "benchmarks/", "docs/", "dvc.lock")) or not (ROOT / file).exists():
                continue
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, root / file)
        shutil.copy2(root / "params/smoke.yaml", root / "params/plan.yaml")
        who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "start"]):
            subprocess.run(["git", *command], cwd=root, check=True)
        return Checkout(root)

    return make
