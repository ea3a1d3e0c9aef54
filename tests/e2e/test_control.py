"""Two real workers that follow a control row under load, through every trouble that a rollout can meet."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.control.state import Presence, State
from serving.control.store import Store, open_store
from tests import made_package
from tests.e2e.load import Load
from tests.e2e.test_serve import ROOT, environment, serving
from tests.unit.serving.control import stores

pytestmark = pytest.mark.e2e


def until(done: Callable[[], bool], what: str) -> None:
    start = time.monotonic()
    while not done():
        assert time.monotonic() < start + 90, what
        time.sleep(0.02)


class Rollout:
    """The control plane of two workers, as the keeper would move it."""

    def __init__(self, folder: Path, client: httpx.Client, store: Store) -> None:
        self.folder, self.client, self.store = folder, client, store
        self.seeds: dict[int, int | None] = {0: None}

    def set(self, seed: int | None, **changes: Any) -> int:
        """The next generation, of which `seed` says the package."""
        before = self.store.read()
        if before is None:
            plain = {"package": str(self.folder / "first"), "version": "1", "share": 0.5, "by": "test"}
            row = State.model_validate({"generation": 1, **plain, **changes})
        else:
            row = before.next(by="test", reason="", since_s=0.0, **changes)
        self.seeds[row.generation] = seed
        assert self.store.swap(row, row.generation - 1)
        return row.generation

    def workers(self) -> list[Presence]:
        """Those that were seen within two seconds."""
        now_s = self.store.now_s()
        return [p for p in self.store.presences() if now_s - p.seen_s < 2]

    def settled(self, generation: int) -> bool:
        found = self.workers()
        return len(found) == 2 and all((p.generation, p.error) == (generation, "") for p in found)

    def pids(self) -> set[int]:
        return {int(p.worker.split(":")[1]) for p in self.workers()}


@contextmanager
def followed(folder: Path, url: str) -> Iterator[Rollout]:
    """Two workers that follow the row at `url`."""
    first = made_package.make(folder / "first", workers=2)
    store = open_store(url, create=True)
    assert store.read() is None
    env = {**environment(folder / "home", first), "STILLROOM_CONTROL": url}
    with closing(store), serving("serving.service:Stillroom", ROOT, env) as client:
        yield Rollout(folder, client, store)


@pytest.fixture
def rollout(tmp_path: Path) -> Iterator[Rollout]:
    with followed(tmp_path, stores.sqlite(tmp_path)) as found:
        yield found


def test_two_workers_follow_a_row_in_redis(tmp_path: Path) -> None:
    with stores.redis_server() as server, followed(tmp_path, f"{server}/0") as rollout:
        with Load(str(rollout.client.base_url), rollout.seeds) as load:
            until(lambda: rollout.settled(0), "two workers report")
            share = rollout.set(None, share=1.0)
            until(lambda: rollout.settled(share) and load.answered[share, "treatment"] > 0, "the share is followed")
            second = made_package.make(tmp_path / "second", seed=2, workers=2)
            swap = rollout.set(2, package=str(second), version="2")
            until(lambda: rollout.settled(swap) and load.answered[swap, "treatment"] > 0, "the package is swapped")
        assert not load.faults, load.faults[:3]
        assert not load.lost and not load.answered[share, "control"]
        until(lambda: counted(rollout.store, swap) == asked(load, swap), "every answer is in the tally")


def test_two_workers_follow_through_every_trouble(rollout: Rollout) -> None:
    folder, store = rollout.folder, rollout.store
    with Load(str(rollout.client.base_url), rollout.seeds) as load:
        until(lambda: rollout.settled(0), "two workers report")
        share = rollout.set(None, share=1.0)
        until(lambda: rollout.settled(share), "the share is followed")
        assert rollout.client.get("/info").json()["treatment_share"] == 1.0
        second = made_package.make(folder / "second", seed=2, workers=2)
        swap = rollout.set(2, package=str(second), version="2")
        until(lambda: rollout.settled(swap), "the package is swapped")

        third = made_package.make(folder / "third", seed=3, workers=2)
        model = third / "treatment.onnx"
        model.write_bytes(model.read_bytes()[:-1] + b"\0")
        corrupt = rollout.set(3, package=str(third), version="3")
        until(lambda: len([p for p in rollout.workers() if "changed since" in p.error]) == 2, "both refuse it")
        assert {p.generation for p in rollout.workers()} == {swap}
        assert rollout.client.get("/info").json()["behind"] is True

        killed = min(rollout.pids())
        os.kill(killed, signal.SIGKILL)
        until(lambda: len(rollout.pids() - {killed}) == 2, "another worker comes")
        assert {p.generation for p in rollout.workers()} == {swap}, "the newcomer serves what was good last"

        store.close()
        held = (folder / "control" / "rollout.db").rename(folder / "control" / "held.db")
        before = sum(load.answered.values())
        until(lambda: sum(load.answered.values()) > before + 60, "answers go on without a database")
        held.rename(folder / "control" / "rollout.db")
        mended = rollout.set(None, package=str(folder / "first"), version="1", share=0.0)
        until(lambda: rollout.settled(mended), "the restored row is followed")
        before = load.answered[mended, "control"]
        until(lambda: load.answered[mended, "control"] > before + 20, "answers of the last generation")
    assert not load.faults, load.faults[:3]
    assert load.lost <= 3, "no more than what the killed worker had in hand"
    assert load.answered[share, "treatment"] and load.answered[swap, "treatment"]
    assert not load.answered[corrupt, "treatment"] and not load.answered[share, "control"]
    until(lambda: counted(store, mended) == asked(load, mended), "every answer is in the tally")
    # What the killed worker had counted in its last half second is lost with it; the rest is there.
    assert counted(store, swap) <= asked(load, swap) + load.lost


def counted(store: Store, generation: int) -> int:
    found = store.tallies(generation)
    return found.control.requests + found.treatment.requests


def asked(load: Load, generation: int) -> int:
    return load.answered[generation, "control"] + load.answered[generation, "treatment"]
