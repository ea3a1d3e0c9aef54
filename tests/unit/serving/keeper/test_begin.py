"""The first row: made once, never made worse by a restart, and brought back when the store lost it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from serving import package
from serving.control.state import State
from serving.control.store import Store, open_store
from serving.keeper.__main__ import Keeper
from serving.keeper.audit import Audit
from serving.keeper.begin import begin
from tests import made_package


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STILLROOM_VERSION", "3")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"sqlite:///{tmp_path / 'rollout.db'}", create=True)


@pytest.fixture
def first(tmp_path: Path) -> package.Package:
    return package.read(made_package.make(tmp_path / "first", stages=[0.05, 0.5]))


def after(row: State, **changes: object) -> State:
    return row.next(by="test", reason="", since_s=0.0, **changes)


def test_a_first_row_is_about_the_package_and_is_made_once(store: Store, first: package.Package) -> None:
    made = begin(store, first, Audit(store), offer=True)
    assert (made.generation, made.version, made.share, made.stage, made.mode) == (1, "3", 0.05, 0, "rolling")
    assert (made.package, made.package_sha256) == (str(first.folder), first.manifest_sha256)
    assert begin(store, first, Audit(store), offer=True) == made == store.read()
    assert [event.kind for event in store.events()] == ["boot"]


def test_a_restart_of_the_same_package_keeps_what_was_decided(store: Store, first: package.Package) -> None:
    row = begin(store, first, Audit(store), offer=True)
    back = after(row, share=0.0, mode="rolled_back")
    store.swap(back, 1)
    assert begin(store, first, Audit(store), offer=True) == back
    assert begin(store, first, Audit(store), offer=False) == back


def test_another_package_is_offered_only_when_asked(store: Store, first: package.Package, tmp_path: Path) -> None:
    row = begin(store, first, Audit(store), offer=True)
    other = package.read(made_package.make(tmp_path / "other", seed=2, stages=[0.1]))
    assert begin(store, other, Audit(store), offer=False) == row
    offered = begin(store, other, Audit(store), offer=True)
    assert (offered.generation, offered.package, offered.share) == (2, str(other.folder), 0.1)


def test_a_store_that_lost_its_row_gets_back_the_last_one(store: Store, first: package.Package, tmp_path: Path) -> None:
    keeper = Keeper(store, first, None, offer=True)
    keeper.tick()
    back = after(State.model_validate(store.read()), share=0.0, mode="rolled_back", stage=-1)
    store.swap(back, 1)
    keeper.tick()
    with sqlite3.connect(tmp_path / "rollout.db") as raw:
        raw.execute("delete from stillroom_state")
    keeper.tick()
    found = store.read()
    assert found is not None and (found.generation, found.share, found.mode) == (1, 0.0, "rolled_back")
    assert "lost its row; generation 2 goes on" in found.reason and store.events()[-1].kind == "boot"


def test_what_is_remembered_of_another_store_does_not_count(
    store: Store, first: package.Package, tmp_path: Path
) -> None:
    keeper = Keeper(store, first, None, offer=True)
    keeper.tick()
    store.swap(after(State.model_validate(store.read()), share=0.9), 1)
    keeper.tick()
    other = open_store(f"sqlite:///{tmp_path / 'other.db'}", create=True)
    assert begin(other, first, Audit(other), offer=False).share == 0.05


def test_the_judge_ticks_and_old_things_go(store: Store, first: package.Package) -> None:
    ticked: list[State | None] = []

    class Judge:
        def tick(self) -> None:
            ticked.append(store.read())

    keeper = Keeper(store, first, Judge(), offer=True)
    keeper.tick()
    keeper.tick()
    assert [row is not None and row.generation for row in ticked] == [1, 1]
