"""Following the row: what is obeyed, what is refused, and what a worker begins with when something is broken."""

from __future__ import annotations

import gc
import sqlite3
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving import follow, package
from serving.control.state import State
from serving.control.store import Store, open_store
from serving.engine import Engine
from serving.follow import Follower
from serving.last_good import recall
from serving.live import Live
from serving.package import PackageError
from tests import made_package

IMAGES = np.random.default_rng(5).integers(0, 256, (2, 1, 8, 8), dtype=np.uint8)


class Place:
    """A store with a keeper, packages, and workers that start in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "rollout.db"
        self.keeper = open_store(f"sqlite:///{self.file}", create=True)
        self.first = made_package.make(folder / "first", treatment_share=0.5)
        self.served: list[Live] = []

    def worker(self, store: Store | None = None) -> Follower:
        configured = package.read(self.first)
        store = store or open_store(f"sqlite:///{self.file}")
        return Follower(configured, self.served.append, store, self.folder / "home" / "last_good.json")

    def set(self, **changes: Any) -> State:
        """The next row."""
        before = self.keeper.read()
        if before is None:
            plain = {"package": str(self.first), "version": "1", "share": 0.5, "by": "test"}
            row = State.model_validate({"generation": 1, **plain, **changes})
        else:
            row = before.next(by="test", reason="", since_s=0.0, **changes)
        assert self.keeper.swap(row, row.generation - 1)
        return row

    def damage(self, statement: str) -> None:
        with sqlite3.connect(self.file) as raw:
            raw.execute(statement)

    @property
    def live(self) -> Live:
        return self.served[-1]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def answers_as(live: Live, seed: int | None) -> bool:
    shares = live.engine.infer("treatment", {"images": IMAGES})
    return bool(np.allclose(shares, made_package.expected("treatment", IMAGES, seed=seed), atol=1e-5))


def test_without_a_store_and_without_a_row_the_package_decides(place: Place) -> None:
    place.worker().boot()
    alone = Follower(package.read(place.first), place.served.append, None, place.folder / "none.json")
    alone.boot()
    alone.poll()
    assert [(live.generation, live.share) for live in place.served] == [(0, 0.5), (0, 0.5)]
    assert alone.error == ""


def test_a_change_of_share_is_obeyed_with_the_same_engine(place: Place) -> None:
    place.set()
    worker = place.worker()
    worker.boot()
    engine = place.live.engine
    place.set(share=0.9)
    worker.poll()
    worker.poll()
    assert [(live.generation, live.share) for live in place.served] == [(1, 0.5), (2, 0.9)]
    assert place.live.engine is engine and place.live.counts is not place.served[0].counts


def test_a_package_is_swapped_and_the_old_engine_goes(place: Place) -> None:
    place.set()
    worker = place.worker()
    worker.boot()
    place.set(package=str(made_package.make(place.folder / "second", seed=2)), version="2")
    worker.poll()
    assert (place.live.generation, place.live.version) == (2, "2")
    assert answers_as(place.served[0], None) and answers_as(place.live, 2), "a request in flight keeps its own models"
    old = weakref.ref(place.served[0].engine)
    del place.served[0]
    gc.collect()
    assert old() is None


def test_a_first_row_about_the_configured_package_loads_nothing_anew(place: Place) -> None:
    worker = place.worker()
    worker.boot()
    place.set(share=0.25)
    worker.poll()
    assert place.live.generation == 1 and place.live.engine is place.served[0].engine


def corrupt(folder: Path) -> None:
    content = bytearray((folder / "treatment.onnx").read_bytes())
    content[100] ^= 1
    (folder / "treatment.onnx").write_bytes(content)


def unloadable(folder: Path) -> None:
    (folder / "treatment.onnx").write_bytes(b"garbage")
    made_package.seal(folder)


def gone(folder: Path) -> None:
    (folder / "manifest.json").unlink()


@pytest.mark.parametrize(
    ("damage", "fault"),
    [(corrupt, "changed since it was packaged"), (unloadable, "ONNX Runtime cannot load it"), (gone, "not there")],
)
def test_a_broken_package_is_refused_told_and_left_at_the_next_row(place: Place, damage: Any, fault: str) -> None:
    place.set()
    worker = place.worker()
    worker.boot()
    second = made_package.make(place.folder / "second", seed=2)
    damage(second)
    place.set(package=str(second))
    worker.poll()
    assert len(place.served) == 1 and fault in worker.error and worker.error.startswith("generation 2: ")
    place.set(package=str(place.first), share=0.0)
    worker.poll()
    assert (place.live.generation, place.live.share, worker.error) == (3, 0.0, "")


def test_a_broken_package_is_read_again_after_a_while_not_at_every_look(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [100.0]
    monkeypatch.setattr(follow.time, "monotonic", lambda: now_s[0])
    place.set()
    worker = place.worker()
    worker.boot()
    second = made_package.make(place.folder / "second", seed=2)
    good = (second / "treatment.onnx").read_bytes()
    corrupt(second)
    place.set(package=str(second))
    worker.poll()
    (second / "treatment.onnx").write_bytes(good)
    worker.poll()
    assert place.live.generation == 1, "too soon"
    now_s[0] += 2.0
    worker.poll()
    assert place.live.generation == 2 and worker.error == ""


def test_another_package_in_the_same_folder_is_refused_when_the_row_says_which(place: Place) -> None:
    second = made_package.make(place.folder / "second", seed=2)
    place.set(package=str(second), package_sha256=package.read(second).manifest_sha256)
    made_package.make(second, seed=3)
    worker = place.worker()
    worker.boot()
    assert "the control row says" in worker.error
    assert (place.live.generation, place.live.share) == (0, 0.0)


def test_a_broken_row_and_a_store_that_is_away_change_nothing_and_heal(place: Place) -> None:
    place.set()
    worker = place.worker()
    worker.boot()
    place.damage("update stillroom_state set share = 7")
    worker.poll()
    assert "share" in worker.error
    place.damage("update stillroom_state set share = 0.5")
    worker.poll()
    assert worker.error == ""
    place.keeper.close()
    held = place.file.rename(place.folder / "held.db")
    worker.poll()
    assert "no such file" in worker.error or "removed" in worker.error or "unable to open" in worker.error
    held.rename(place.file)
    place.set(share=0.75)
    worker.poll()
    assert [live.share for live in place.served] == [0.5, 0.75] and worker.error == ""


def test_the_time_between_looks_grows_while_the_store_is_away_and_falls_back(place: Place) -> None:
    place.set()
    worker = place.worker()
    worker.boot()
    place.keeper.close()
    held = place.file.rename(place.folder / "held.db")
    waits = []
    for _ in range(8):
        worker.poll()
        waits.append(worker._wait_s)
    assert waits == sorted(waits) and waits[0] == pytest.approx(0.4) and waits[-1] == follow.AWAY_MAX_S
    held.rename(place.file)
    worker.poll()
    assert worker._wait_s == pytest.approx(0.2)


def test_a_store_that_lost_its_row_does_not_undo_what_was_served(place: Place) -> None:
    place.set(share=0.0)
    worker = place.worker()
    worker.boot()
    place.damage("delete from stillroom_state")
    worker.poll()
    assert len(place.served) == 1 and "no row" in worker.error
    place.worker().boot()
    assert (place.live.generation, place.live.share) == (1, 0.0)


@pytest.mark.parametrize("trouble", ["row", "store", "package"])
def test_a_worker_that_starts_anew_amid_trouble_begins_with_what_was_served(place: Place, trouble: str) -> None:
    second = made_package.make(place.folder / "second", seed=2)
    place.set()
    place.set(package=str(second), share=0.25, version="2")
    place.worker().boot()
    if trouble == "row":
        place.damage("update stillroom_state set share = 7")
    elif trouble == "store":
        place.keeper.close()
        place.file.unlink()
    else:
        third = made_package.make(place.folder / "third", seed=3)
        corrupt(third)
        place.set(package=str(third))
    respawned = place.worker()
    respawned.boot()
    assert (place.live.generation, place.live.share, place.live.version) == (2, 0.25, "2")
    assert answers_as(place.live, 2) and respawned.error


def test_the_control_alone_answers_when_what_the_row_said_is_lost(place: Place) -> None:
    place.set(package=str(place.folder / "never"), share=1.0)
    worker = place.worker()
    worker.boot()
    assert (place.live.generation, place.live.share) == (0, 0.0)
    assert "never" in worker.error


def test_a_memory_that_is_broken_or_of_another_store_is_not_believed(place: Place) -> None:
    place.set(share=0.9)
    place.worker().boot()
    memory = place.folder / "home" / "last_good.json"
    assert recall(memory, "sqlite:///elsewhere.db") is None
    found = recall(memory)
    assert found is not None and found.share == 0.9
    memory.write_text('{"store": 1}')
    assert recall(memory) is None


def test_a_full_disk_for_the_memory_does_not_stop_the_service(place: Place) -> None:
    (place.folder / "home").write_text("a file where the folder should be")
    place.set(share=0.9)
    place.worker().boot()
    assert place.live.share == 0.9


def test_nothing_can_be_loaded(place: Place) -> None:
    place.set(package=str(place.folder / "never"))
    worker = place.worker()
    unloadable(place.first)
    with pytest.raises(PackageError, match=r"treatment\.onnx"):
        worker.boot()


def test_a_fault_of_ours_in_loading_ends_no_thread(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.set()
    worker = place.worker()
    worker.boot()
    monkeypatch.setattr(follow, "Engine", lambda _: 1 / 0)
    place.set(package=str(made_package.make(place.folder / "second", seed=2)))
    worker.poll()
    assert len(place.served) == 1 and "division by zero" in worker.error


def test_the_thread_sees_a_change_by_itself(place: Place) -> None:
    place.set()
    worker = place.worker()
    worker.boot()
    worker.start()
    place.set(share=1.0)
    for _ in range(600):
        if len(place.served) > 1:
            break
        follow.time.sleep(0.05)
    worker.stop()
    assert place.live.share == 1.0 and not worker._thread.is_alive()


def test_engines_are_made_for_new_content_only(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def engine(of: package.Package) -> Engine:
        made.append(of.folder)
        return Engine(of)

    monkeypatch.setattr(follow, "Engine", engine)
    place.set()
    worker = place.worker()
    worker.boot()
    copy = made_package.make(place.folder / "copy", treatment_share=0.5)
    place.set(package=str(copy))
    worker.poll()
    assert place.live.generation == 2 and made == [place.first]
