"""A real keeper process on a real store: up by stages on made-up counts, over its own death, back on planted harm."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from serving.control.state import State
from serving.control.store import Store, open_store
from tests.unit.serving.keeper import traffic
from tests.unit.serving.keeper.test_notify import Server

pytestmark = pytest.mark.integration
WITHIN_S = 60.0


class Keeper:
    """One keeper process after another over the same store."""

    def __init__(self, folder: Path, package: Path, webhook: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._environment = {
            **os.environ,
            "STILLROOM_PACKAGE": str(package),
            "STILLROOM_CONTROL": f"sqlite:///{folder / 'rollout.db'}",
            "STILLROOM_WEBHOOK": webhook,
            "BENTOML_HOME": str(folder / "home"),
        }
        self.store: Store = open_store(self._environment["STILLROOM_CONTROL"])
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "serving.keeper", "--port", str(self.port)]
        self.process = subprocess.Popen(command, env=self._environment, cwd=Path(__file__).parents[2])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def get(self, path: str) -> bytes:
        with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            content: bytes = answer.read()
            return content

    @property
    def row(self) -> State:
        found = self.store.read()
        assert found is not None
        return found

    def up(self) -> bool:
        try:
            return bool(json.loads(self.get("/findings"))["findings"])
        except URLError:
            return False

    def report(self, tally: Any) -> None:
        self.store.report("one", self.row.generation, tally)


def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < end, f"{what}: not within {WITHIN_S:g} s"
        time.sleep(0.05)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def keeper(tmp_path: Path, server: Server) -> Iterator[Keeper]:
    made = Keeper(tmp_path, traffic.package(tmp_path / "package").folder, f"{server.url}/told")
    yield made
    made.kill()
    made.store.close()


def test_up_by_stages_over_a_killed_keeper_and_back_on_harm(keeper: Keeper, server: Server) -> None:
    until(keeper.up, "the first findings")
    shares = [keeper.row.share]
    for stage in range(4):
        if stage == 2:
            keeper.kill()
            keeper.report(traffic.tally(6000))
            keeper.start()
        before = keeper.row.generation
        keeper.report(traffic.tally(6000))
        until(lambda was=before: keeper.row.generation > was, f"an advance from stage {stage}")  # type: ignore[misc]
        shares.append(keeper.row.share)
    assert shares == [0.01, 0.1, 0.5, 0.9, 0.9] and keeper.row.mode == "settled"
    keeper.report(traffic.tally(2000, errors=0.05))
    until(lambda: keeper.row.mode == "rolled_back", "a rollback")
    assert keeper.row.share == 0 and keeper.row.by == "judge"
    kinds = [event.kind for event in keeper.store.events()]
    assert kinds == ["boot", "advance", "advance", "advance", "advance", "rollback"]
    until(lambda: len(server.got) == 5, "the notices")
    assert [body["event"] for _, _, body in server.got] == ["stillroom.advance"] * 4 + ["stillroom.rollback"]
    shown = f"stillroom_keeper_generation {keeper.row.generation:.1f}"
    until(lambda: shown in keeper.get("/metrics").decode(), "the metrics")
    state = json.loads(keeper.get("/findings"))["state"]
    assert (state["mode"], state["generation"]) == ("rolled_back", 6)
