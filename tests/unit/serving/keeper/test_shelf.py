"""Fetched packages: the one that is served, the one to go back to and what others need stay; the rest goes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from flows import servers
from serving import last_good
from serving import package as packages
from serving.control.state import Presence, State
from serving.control.store import Store, open_store
from serving.keeper import shelf
from serving.keeper.__main__ import Keeper
from serving.keeper.shelf import Shelf
from tasks.track.packages import SERVING
from tests import made_package

LONG_AGO_S = 2 * shelf.FRESH_S


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "homes" / "keeper"))
    return tmp_path / "homes"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"sqlite:///{tmp_path / 'rollout.db'}", create=True)


@pytest.fixture
def fetched(tmp_path: Path) -> Path:
    """Versions 1 to 8, fetched long ago; version 9, just now; and what is none of ours."""
    folder = tmp_path / "fetched"
    for number in range(1, 10):
        made_package.make(folder / str(number), seed=number)
        if number < 9:
            aged(folder / str(number))
    (folder / "notes").mkdir()
    made_package.make(folder / ".gone-3")
    (folder / ".fetch-abc").mkdir()
    (folder / ".fetch-abc" / "manifest.json").write_text("{}")
    aged(folder / ".fetch-abc")
    return folder


def aged(package: Path) -> None:
    at_s = time.time() - LONG_AGO_S
    os.utime(package / "manifest.json", (at_s, at_s))


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_dir()} - {"notes", ".fetch-abc", ".gone-3"}


def row_of(store: Store, package: Path, **changes: object) -> State:
    """The next row, about a package."""
    before, sha = store.read(), packages.read(package).manifest_sha256
    generation = before.generation if before else 0
    about = {"package": str(package), "package_sha256": sha, "version": package.name, "share": 0.1, "by": "test"}
    new = State(generation=generation + 1, **{**about, **changes})  # type: ignore[arg-type]
    assert store.swap(new, generation)
    aged(package)
    return new


def serves(store: Store, worker: str, package: Path) -> None:
    sha = packages.read(package).manifest_sha256
    store.present(Presence(worker=worker, generation=1, package_sha256=sha))
    aged(package)


def keeper(store: Store, fetched: Path) -> Keeper:
    first = packages.read(fetched / "1")
    aged(fetched / "1")
    return Keeper(store, first, None, offer=False, shelf=Shelf(fetched, store.where))


def through(store: Store, fetched: Path, *numbers: str) -> Keeper:
    """A keeper that has seen rows about these versions, one after the other."""
    made = keeper(store, fetched)
    for number in numbers:
        row_of(store, fetched / number)
        made.tick()
    return made


def test_the_served_one_those_before_it_and_a_fresh_one_stay(store: Store, fetched: Path) -> None:
    through(store, fetched, "1", "2")
    assert left(fetched) == {"1", "2", "9"}, "what was there before, and no row was about, goes with the first swap"
    assert not (fetched / ".gone-3").exists(), "what a keeper was killed over"
    assert (fetched / "notes").is_dir() and (fetched / ".fetch-abc").is_dir()


def test_only_so_many_stay_and_the_one_to_go_back_to_is_among_them(store: Store, fetched: Path) -> None:
    made = through(store, fetched, "1", "2")
    for before, now in (("2", "3"), ("3", "4"), ("4", "5"), ("5", "6"), ("6", "7"), ("7", "8")):
        row_of(store, made_package.make(fetched / now, seed=int(now)))
        made.tick()
        assert {before, now} <= left(fetched)
    assert left(fetched) == {"5", "6", "7", "8", "9"} and shelf.KEPT == 4


def test_going_back_and_forth_does_not_push_out_the_good_one(store: Store, fetched: Path) -> None:
    made = through(store, fetched, "1", "2")
    for number in ("1", "3", "1", "4", "1", "5", "1"):
        row_of(store, made_package.make(fetched / number, seed=int(number)))
        made.tick()
    assert left(fetched) == {"1", "3", "4", "5", "9"}


def test_a_new_keeper_knows_the_one_to_go_back_to(store: Store, fetched: Path) -> None:
    through(store, fetched, "1", "2")
    made_package.make(fetched / "3", seed=3)
    aged(fetched / "3")
    again = keeper(store, fetched)
    again.tick()
    assert left(fetched) == {"1", "2", "9"}


def test_before_two_are_known_nothing_goes(store: Store, fetched: Path) -> None:
    through(store, fetched, "7")
    assert left(fetched) == set("123456789")


def test_a_record_that_was_lost_or_torn_lets_nothing_go(store: Store, fetched: Path) -> None:
    through(store, fetched, "1", "2")
    (record,) = fetched.glob(".rows-*.json")
    record.write_text('{"named": [{"pack')
    made_package.make(fetched / "3", seed=3)
    aged(fetched / "3")
    again = keeper(store, fetched)
    again.tick()
    assert left(fetched) == {"1", "2", "3", "9"}


def test_while_a_worker_serves_what_is_not_known_nothing_goes(store: Store, fetched: Path) -> None:
    serves(store, "slow", fetched / "6")
    made = through(store, fetched, "1", "2")
    assert left(fetched) == set("123456789")
    serves(store, "slow", fetched / "2")
    made._tidy_at_s = 0.0
    made.tick()
    assert left(fetched) == {"1", "2", "9"}


def test_a_worker_that_has_gone_keeps_nothing(store: Store, fetched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serves(store, "killed", fetched / "6")
    monkeypatch.setattr(shelf, "SEEN_S", -1.0)
    through(store, fetched, "1", "2")
    assert left(fetched) == {"1", "2", "9"}


def test_what_another_server_of_the_checkout_needs_stays(
    store: Store, fetched: Path, home: Path, tmp_path: Path
) -> None:
    row = State(generation=4, package=str(fetched / "5"), version="5", share=0.1, by="test")
    last_good.remember(home / "3000" / "stillroom" / "last_good.json", last_good.LastGood(store="other", state=row))
    other = open_store(f"sqlite:///{tmp_path / 'other.db'}", create=True)
    Shelf(fetched, other.where).note(row.model_copy(update={"package": str(fetched / "4")}))
    through(store, fetched, "1", "2")
    assert left(fetched) == {"1", "2", "4", "5", "9"}


def test_packages_elsewhere_are_never_touched(store: Store, fetched: Path, tmp_path: Path) -> None:
    mine = made_package.make(tmp_path / "mine" / "package")
    aged(mine)
    made = through(store, fetched, "1", "2")
    row_of(store, mine)
    made.tick()
    for number in ("3", "4", "5", "6"):
        made_package.make(fetched / number, seed=int(number))
        row_of(store, fetched / number)
        made.tick()
    assert (mine / "manifest.json").exists()


def test_a_folder_that_cannot_be_written_costs_nothing_else(
    store: Store, fetched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    through(store, fetched, "1", "2")
    assert left(fetched) == set("123456789"), "what is not written down would be forgotten by the next keeper"


def test_the_keeper_of_a_server_is_told_where_packages_are_fetched_to(tmp_path: Path) -> None:
    asked = servers.Asked(tmp_path, 3000, 3001, "7", "sqlite:///x.db")
    assert servers.FETCHED == SERVING
    told = servers.keeper(asked, {}, first=True).env["STILLROOM_FETCHED"]
    assert told == str(SERVING.resolve())
