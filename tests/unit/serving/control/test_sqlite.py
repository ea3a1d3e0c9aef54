"""SQLite's own troubles: no file, a file that goes and comes back, a broken row, a writer that holds the lock."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from serving.control import sql_engine
from serving.control.state import Event, Presence, State
from serving.control.store import StoreError, open_store
from serving.control.tally import Tally

FIRST = State(generation=1, package="p", version="3", share=0.1, by="test")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a folder" / "rollout.db"


def test_a_worker_never_makes_a_database(file: Path) -> None:
    worker = open_store(f"sqlite:///{file}")
    for use in (
        worker.read,
        lambda: worker.swap(FIRST, 0),
        lambda: worker.report("w", 1, Tally()),
        lambda: worker.append(Event(actor="w", kind="boot")),
    ):
        with pytest.raises(StoreError, match=r"rollout\.db"):
            use()
    assert not file.parent.exists()


def test_a_database_that_goes_is_away_and_one_that_comes_back_is_used(file: Path) -> None:
    keeper, worker = open_store(f"sqlite:///{file}", create=True), open_store(f"sqlite:///{file}")
    assert keeper.swap(FIRST, 0) and worker.read() == FIRST
    keeper.close()
    held = file.rename(file.with_name("moved.db"))
    for store in (keeper, worker):
        with pytest.raises(StoreError):
            store.read()
        with pytest.raises(StoreError):
            store.present(Presence(worker="w", generation=1, package_sha256=""))
    assert not file.exists(), "an empty one in its place would hide the loss"
    held.rename(file)
    assert worker.read() == FIRST
    assert keeper.swap(FIRST.next(by="a", reason="", since_s=0.0, share=0.5), 1)
    found = worker.read()
    assert found is not None and found.share == 0.5


def test_another_file_in_its_place_is_noticed(file: Path) -> None:
    worker = open_store(f"sqlite:///{file}")
    open_store(f"sqlite:///{file}", create=True).swap(FIRST, 0)
    assert worker.read() == FIRST
    other = open_store(f"sqlite:///{file.with_name('other.db')}", create=True)
    other.swap(FIRST.model_copy(update={"share": 0.75}), 0)
    other.close()
    for suffix in ("-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
    file.with_name("other.db").replace(file)
    found = worker.read()
    assert found is not None and found.share == 0.75


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ("update stillroom_state set share = 1.5", "share: Input should be less than or equal to 1, found '1.5'"),
        ("update stillroom_state set mode = 'mad'", "mode: Input should be 'rolling'"),
        ("update stillroom_state set share = 'x'", "share"),
        ("drop table stillroom_state", "no such table"),
    ],
)
def test_a_broken_row_is_named(file: Path, damage: str, fault: str) -> None:
    store = open_store(f"sqlite:///{file}", create=True)
    store.swap(FIRST, 0)
    with sqlite3.connect(file) as raw:
        raw.execute("pragma ignore_check_constraints = 1")
        raw.execute(damage)
    with pytest.raises(StoreError, match=fault):
        store.read()


def test_a_broken_tally_presence_or_event_is_named(file: Path) -> None:
    store = open_store(f"sqlite:///{file}", create=True)
    store.report("w", 1, Tally())
    store.append(Event(actor="w", kind="boot"))
    store.present(Presence(worker="w", generation=1, package_sha256=""))
    with sqlite3.connect(file) as raw:
        for table in ("tallies", "events", "presences"):
            raw.execute(f"update stillroom_{table} set body = '{{'")
    for use in (lambda: store.tallies(1), store.events, store.presences):
        with pytest.raises(StoreError, match=r"rollout\.db: .*JSON"):
            use()


def test_a_file_that_is_no_database_is_named(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("not a database " * 100)
    with pytest.raises(StoreError, match="not a database"):
        open_store(f"sqlite:///{file}").read()


def test_readers_go_on_beside_a_writer_that_holds_the_lock(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_engine, "BUSY_S", 0.1)
    store = open_store(f"sqlite:///{file}", create=True)
    store.swap(FIRST, 0)
    writer = sqlite3.connect(file, isolation_level=None)
    writer.execute("begin immediate")
    assert store.read() == FIRST
    with pytest.raises(StoreError, match="locked"):
        store.report("w", 1, Tally())
    writer.execute("rollback")
    store.report("w", 1, Tally())
