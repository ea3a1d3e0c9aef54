"""`stillroom use`: every example is a plan without mistakes, and putting one in place loses nothing of the user's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from flows import examples
from tasks.core.errors import PlanError
from tasks.plan import load

ROOT = Path(__file__).parents[2]
NAMES = sorted(p.parent.name for p in (ROOT / "params/examples").glob("*/plan.yaml"))


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "params", tmp_path / "params")
    monkeypatch.setenv("STILLROOM_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def git(*arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *who, *arguments], check=True, capture_output=True)


@pytest.mark.parametrize("name", NAMES)
def test_every_example_is_a_plan_without_mistakes_and_says_what_it_is(name: str) -> None:
    examples.use(name, force=True)
    assert load().plan.variants
    assert examples.about(name).endswith(".")


@pytest.mark.parametrize("value", [None, ""])
def test_sst2_without_its_data_gives_one_error_that_says_what_to_do(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STILLROOM_DATA")
    if value is not None:
        monkeypatch.setenv("STILLROOM_DATA", value)
    examples.use("sst2", force=True)
    with pytest.raises(PlanError) as e:
        load()
    (line,) = str(e.value).splitlines()
    assert line.startswith("params/plan.yaml:") and "data.path: found ${STILLROOM_DATA}, which is not set" in line
    assert "export STILLROOM_DATA=" in line


def test_the_plan_of_a_fresh_checkout_is_the_digits_example() -> None:
    assert examples.use("digits", force=False) == []
    assert examples.told("digits", force=False) == "params/ is the example digits already"


def test_going_there_and_back_again_restores_the_files(checkout: Path) -> None:
    before = {p.name: p.read_text() for p in (checkout / "params").glob("*.yaml")}
    assert examples.use("fashion_mnist", force=False)
    assert examples.use("digits", force=False)
    assert {p.name: p.read_text() for p in (checkout / "params").glob("*.yaml")} == before


def test_an_edited_plan_is_kept_unless_forced_or_committed(checkout: Path) -> None:
    plan = checkout / "params/plan.yaml"
    plan.write_text(plan.read_text().replace("seed: 7", "seed: 8"))
    before = {p: p.read_text() for p in (checkout / "params").glob("*.yaml")}
    with pytest.raises(PlanError, match=r"^params/plan.yaml: changed by you and not committed; nothing was written"):
        examples.use("cifar10", force=False)
    assert {p: p.read_text() for p in (checkout / "params").glob("*.yaml")} == before
    git("init")
    git("add", "params")
    with pytest.raises(PlanError, match="not committed"):
        examples.use("cifar10", force=False)
    git("commit", "-m", "mine")
    assert Path("params/plan.yaml") in examples.use("cifar10", force=False)


def test_force_overwrites(checkout: Path) -> None:
    (checkout / "params/plan.yaml").write_text("seed: 8\n")
    examples.use("digits", force=True)
    assert load().plan.seed == 7


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(PlanError, match=r"did you mean 'cifar10'.*allowed: .*digits"):
        examples.use("cifar", force=False)
