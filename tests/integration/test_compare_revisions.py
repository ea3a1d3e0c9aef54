"""`stillroom compare REV REV`: real git and DVC in a temporary checkout whose results are planted, not computed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tasks import choose
from tasks.core import artifact
from tests.integration.conftest import ROOT, environment
from tests.unit import fake_evidence, fake_project

pytestmark = pytest.mark.integration
STAGES = """stages:
  planted:
    cmd: "true"
    deps: [version.txt]
    outs: [results/bench.json, results/chosen.json, reports]
"""
WHO = ["-c", "user.name=t", "-c", "user.email=t@example.org"]


def call(*command: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
    env = {**environment(), "PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "true"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=300)
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done


def stillroom(*arguments: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
    return call(sys.executable, "-m", "flows.cli", *arguments, ok=ok)


def record(name: str, accuracy: float, size: int, p50_ms: float) -> None:
    """Plant results, have DVC lock and cache them, and commit and tag that."""
    fake_evidence.plant({"student": {"accuracy": accuracy, "size_bytes": size, "p50_ms": p50_ms}})
    student = artifact.evaluation_file("student")
    student.write_text(student.read_text().replace("1" * 64, hashlib.sha256(name.encode()).hexdigest()))
    choose.run(fake_project.settings())
    Path("version.txt").write_text(name)
    call(sys.executable, "-m", "dvc", "commit", "-q", "-f")
    call("git", "add", "-A")
    call("git", *WHO, "commit", "-qm", name)
    call("git", "tag", name)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, before = tmp_path_factory.mktemp("revisions"), Path.cwd()
    os.chdir(root)
    try:
        shutil.copytree(ROOT / "params", root / "params")
        (root / ".gitignore").write_text("/reports\n/results\n/artifacts\n")
        call("git", "init", "-q")
        call("git", "add", "-A")
        call("git", *WHO, "commit", "-qm", "empty")
        call("git", "tag", "unrecorded")
        call(sys.executable, "-m", "dvc", "init", "-q")
        (root / "dvc.yaml").write_text(STAGES)
        fake_project.make_project()
        record("v1", 0.94, 500_000, 0.5)
        record("v2", 0.50, 300_000, 0.51)
    finally:
        os.chdir(before)
    return root


def test_two_revisions_are_read_from_the_cache_whatever_lies_in_the_working_tree(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout)
    shutil.rmtree("results")
    found = json.loads(stillroom("compare", "v1", "HEAD", "--json").stdout)
    assert found["of"] == "revisions" and [p["a"] for p in found["pairs"]] == ["baseline", "student", "student_int8"]
    student = {(d["metric"], d["batch"]): d for d in found["pairs"][1]["differences"]}
    assert student["test_accuracy", None]["verdict"] == "worse"
    assert student["size_bytes", None]["change"]["value"] == -200_000
    assert student["latency_p50_ms", 1]["verdict"] == "no significant change"
    text = stillroom("compare", "v1", "v2").stdout
    assert "no significant change" in text and "-45.00" in text and "\x1b" not in text


def test_what_cannot_be_compared_is_said(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    assert "no dvc.lock in that commit" in stillroom("compare", "unrecorded", "v1", ok=False).stderr
    mixed = stillroom("compare", "student", "v1", ok=False)
    assert "give two of one kind" in mixed.stderr and mixed.returncode == 2
    assert "did you mean 'v1'" in stillroom("compare", "v1", "v11", ok=False).stderr


def test_results_that_are_not_in_the_cache_are_named(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    kept = checkout / ".dvc/cache"
    kept.rename(checkout / "aside")
    try:
        done = stillroom("compare", "v1", "v2", ok=False)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert "at v1: not in DVC's cache" in done.stderr and "dvc fetch" in done.stderr
    finally:
        shutil.rmtree(kept, ignore_errors=True)
        (checkout / "aside").rename(kept)


def test_results_that_only_the_remote_has_are_fetched(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(checkout)
    call(sys.executable, "-m", "dvc", "remote", "add", "-d", "--local", "here", str(tmp_path / "remote"))
    call(sys.executable, "-m", "dvc", "push", "-q", "--all-tags")
    shutil.rmtree(checkout / ".dvc/cache")
    done = stillroom("compare", "v1", "v2", "--json")
    assert len(json.loads(done.stdout)["pairs"]) == 3 and not done.stderr
