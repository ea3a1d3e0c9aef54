"""Two checkouts and a DVC remote between them: what one computed, the other has, byte for byte, without computing."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows import exchange
from flows.checkout import LOCK
from flows.exchange import RemoteError, fetch_needs, give_all, look, opened, take
from flows.reproduce import bring_up

DVC = (sys.executable, "-m", "dvc")
PIPELINE = """
stages:
  first: {cmd: cp raw.txt first.txt, deps: [raw.txt], outs: [first.txt]}
  timed: {cmd: date +%s%N > timed.txt, deps: [first.txt], outs: [timed.txt]}
"""


def made(root: Path, remote: Path | None) -> Path:
    root.mkdir()
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / "raw.txt").write_text("raw\n")
    for command in (["git", "init", "-q"], [*DVC, "init", "-q"]):
        subprocess.run(command, cwd=root, check=True)
    if remote:
        subprocess.run([*DVC, "remote", "add", "-q", "-d", "shared", str(remote)], cwd=root, check=True)
    return root


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two checkouts of one pipeline with a remote in common; the test is in the first one."""
    found = made(tmp_path / "one", tmp_path / "remote"), made(tmp_path / "two", tmp_path / "remote")
    monkeypatch.chdir(found[0])
    return found


def entry(stage: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(LOCK.read_text())["stages"][stage]
    return found


def test_what_is_taken_is_what_was_given_though_the_same_inputs_gave_something_else_before(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for force in (False, True):
        for stage in ("first", "timed"):
            assert bring_up(opened(), stage, force) != "failed"
        opened().push(run_cache=True)
    entries, lock = {name: entry(name) for name in ("first", "timed")}, LOCK.read_text()
    wanted = Path("timed.txt").read_text()

    monkeypatch.chdir(two[1])
    assert look("first") == (False, "")
    for name, given in entries.items():
        assert take(name, given) == []
        assert look(name)[0]
    assert Path("timed.txt").read_text() == wanted
    assert LOCK.read_text() == lock
    assert not opened().reproduce(["timed"]), "nothing is left to compute"


def test_a_result_of_other_inputs_is_told_from_one_of_these(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    bring_up(opened(), "first", False)
    opened().push(run_cache=True)
    given = entry("first")
    monkeypatch.chdir(two[1])
    Path("raw.txt").write_text("not the same\n")
    assert take("first", given) == ["raw.txt modified"]


def test_a_worker_has_what_came_before_by_the_lock_that_it_was_sent_and_restores_what_another_computed(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for stage in ("first", "timed"):
        bring_up(opened(), stage, False)
    opened().push(run_cache=True)
    timed = Path("timed.txt").read_text()
    lock = yaml.safe_load(LOCK.read_text())
    del lock["stages"]["timed"]

    monkeypatch.chdir(two[1])
    LOCK.write_text(yaml.safe_dump(lock))
    repo = opened()
    fetch_needs(repo, "timed")
    assert Path("first.txt").read_text() == "raw\n"
    assert bring_up(repo, "timed", False, pull=True) == "restored"
    assert Path("timed.txt").read_text() == timed


def test_raw_data_under_data_is_what_prepare_needs_by_the_houses_own_gitignore(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = made(tmp_path / "one", None)
    monkeypatch.chdir(root)
    shutil.copy(Path(__file__).parents[2] / ".gitignore", root)
    Path("data").mkdir()
    Path("data/raw.txt").write_text("raw\n")
    Path("dvc.yaml").write_text("stages: {prepare: {cmd: 'true', deps: [data], outs: [artifacts/data]}}\n")
    subprocess.run([*DVC, "add", "-q", "data/raw.txt"], check=True)
    needs = sorted(need.addressing for need in opened().stage.collect("prepare", with_deps=True))
    assert needs == ["data/raw.txt.dvc", "prepare"]
    shown = subprocess.run(
        ["git", "status", "--porcelain", "-uall", "data"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.split() == ["??", "data/raw.txt.dvc"], "git keeps the pointer and not the data"


def test_the_run_cache_is_copied_once(two: tuple[Path, Path]) -> None:
    bring_up(opened(), "first", False)
    assert len(opened().stage_cache.push(None)) == 1
    assert opened().stage_cache.push(None) == opened().stage_cache.pull(None) == []


def test_a_checkout_without_a_remote_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made(tmp_path / "alone", None))
    with pytest.raises(RemoteError, match=r"no default remote.*dvc remote add -d NAME URL"):
        give_all()


def test_a_remote_that_takes_nothing_is_named(two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses() -> Any:
        class Repo:
            config = {"core": {"remote": "shared"}}  # noqa: RUF012

            def push(self) -> None:
                raise OSError("the bucket does not exist")

        return Repo()

    monkeypatch.setattr(exchange, "opened", refuses)
    with pytest.raises(
        RemoteError, match="DVC's remote 'shared' does not take what is here: the bucket does not exist"
    ):
        give_all()
