"""What the terminal and the follower see of a keeper, and what they are told when something is wrong."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from serving.control.state import Event, Presence
from tasks.core.errors import KeeperError
from tasks.live import keeper as clients
from tasks.live.keeper import Keeper, LateError
from tests import made_package
from tests.unit.live.conftest import ADMIN, FOLLOWER, Live


def test_reads_are_what_the_store_holds(live: Live) -> None:
    keeper = Keeper(live.url)
    assert keeper.row() is None and keeper.workers() == () and keeper.events() == ()
    row = live.set()
    live.store.present(Presence(worker="w", generation=1, package_sha256="ab", error="x"))
    live.store.append(Event(actor="keeper", kind="advance", generation=1, numbers={"share": 0.5, "version": "3"}))
    told = keeper.row()
    assert told is not None and told.model_dump() == row.model_dump()
    (worker,) = keeper.workers()
    assert (worker.worker, worker.error) == ("w", "x") and 0 <= worker.age_s < 60
    (event,) = keeper.events()
    assert (event.kind, event.version, event.numbers["share"]) == ("advance", "3", 0.5)


def test_events_are_read_to_the_end(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "PAGE", 3)
    ids = [live.store.append(Event(actor="a", kind="admin")) for _ in range(7)]
    assert [event.id for event in Keeper(live.url).events()] == ids
    assert [event.id for event in Keeper(live.url).events(ids[3])] == ids[4:]


def test_a_change_is_compared_and_set(live: Live, tmp_path: Path) -> None:
    keeper = Keeper(live.url, ADMIN)
    folder = made_package.make(tmp_path / "package", stages=[0.05])
    first = keeper.change("package", 0, package=str(folder), version="7")
    assert (first.generation, first.version, first.share) == (1, "7", 0.05)
    assert keeper.change("share", 1, share=0.5).share == 0.5
    with pytest.raises(LateError, match="the row is generation 2") as late:
        keeper.change("share", 1, share=0.7)
    assert late.value.row is not None and late.value.row.generation == 2
    with pytest.raises(KeeperError, match="not held") as unfit:
        keeper.change("resume", 2)
    assert unfit.value.status == 409 and not isinstance(unfit.value, LateError)
    with pytest.raises(KeeperError, match="Extra inputs") as wrong:
        keeper.change("share", 2, share=0.5, colour="red")
    assert wrong.value.status == 422


@pytest.mark.parametrize(("token", "said"), [("", "no token"), ("guess", "a wrong token"), (FOLLOWER, "a wrong token")])
def test_who_may_not_is_told_why(live: Live, token: str, said: str) -> None:
    live.set()
    with pytest.raises(KeeperError, match=said) as refused:
        Keeper(live.url, token).change("share", 1, share=0.5)
    assert refused.value.status == 401


def test_nobody_there_and_somebody_else_there_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    monkeypatch.setenv("STILLROOM_KEEPER", url)
    with pytest.raises(KeeperError, match=r"no keeper answers there .*STILLROOM_KEEPER says where") as away:
        Keeper().row()
    assert url in str(away.value) and away.value.status == 0


def test_a_stranger_on_the_port_is_no_keeper(live: Live) -> None:
    with pytest.raises(KeeperError, match="answered 404, so it is no keeper"):
        Keeper(f"{live.url}/elsewhere").row()
