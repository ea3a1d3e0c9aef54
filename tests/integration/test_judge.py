"""A real keeper process on a real store: up by stages on made-up counts, over its own death, back on planted harm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.keeper_process import Keeper, until
from tests.unit.serving.keeper import traffic
from tests.unit.serving.keeper.test_notify import Server

pytestmark = pytest.mark.integration


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
