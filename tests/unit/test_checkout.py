"""Workers build what is committed: a checkout that is elsewhere, or holds more, says so."""

import subprocess
from pathlib import Path

import pytest

from flows.checkout import CheckoutError, demand, revision

WHO = ["-c", "user.name=test", "-c", "user.email=test@example.org"]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.yaml").write_text("seed: 7\n")
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\n")
    (tmp_path / ".gitignore").write_text("artifacts/\n")
    for command in (["init", "-q"], ["add", "-A"], [*WHO, "commit", "-qm", "start"]):
        subprocess.run(["git", *command], check=True)
    return tmp_path


def test_a_clean_checkout_is_at_its_commit(checkout: Path) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert revision() == head
    demand(head)


def test_what_runs_write_is_no_change(checkout: Path) -> None:
    (checkout / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    (checkout / "artifacts").mkdir()
    (checkout / "artifacts/model.onnx").write_text("weights")
    assert revision()


@pytest.mark.parametrize("file", ["plan.yaml", "tasks.py"])
def test_an_edit_and_a_new_file_are_named(checkout: Path, file: str) -> None:
    (checkout / file).write_text("seed: 8\n")
    with pytest.raises(CheckoutError, match=rf"{checkout}: not what commit \w+ says: {file}\. .* commit these files"):
        revision()


def test_many_changes_are_counted(checkout: Path) -> None:
    for number in range(8):
        (checkout / f"new{number}.py").touch()
    with pytest.raises(CheckoutError, match=r"new0.py, .*new4.py and 3 more"):
        revision()


def test_another_commit_is_refused_with_the_way_there(checkout: Path) -> None:
    with pytest.raises(
        CheckoutError, match=r"at commit \w{12}, and 0123456789ab is asked for.*git checkout --detach 0123"
    ):
        demand("0123456789abcdef0123456789abcdef01234567")


def test_without_a_commit_there_is_nothing_to_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    with pytest.raises(CheckoutError, match="no git commit here"):
        revision()
