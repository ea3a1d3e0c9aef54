"""`stillroom serve` and `stillroom rollout` with real processes: workers, keeper, a second server, and their ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from flows import tokens
from flows.supervise import answers
from tests import made_package
from tests.e2e.load import IMAGES, Load
from tests.e2e.supervised import CALM, CONTROL, DATABASE, Serve, bare, free_port, stillroom, until

pytestmark = pytest.mark.e2e
FOLLOWED_WITHIN_S = 5.0  # about 0.2 s on a quiet machine; see benchmarks/RESULTS.md


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = bare(tmp_path_factory.mktemp("control") / "checkout")
    made_package.make(made / "results" / "package", stages=[0.5, 0.9], control=CONTROL, **CALM)
    return made


@pytest.fixture(scope="module")
def first(root: Path) -> Iterator[Serve]:
    server = Serve(root, "--candidate", "--workers", "2")
    try:
        until(server.ready, "the first server is ready")
        until(lambda: server.followed_by(2, 1), "both workers follow the first row")
        yield server
    finally:
        server.sweep()


@pytest.mark.parametrize("taken", ["--port", "--admin-port"])
def test_a_taken_port_is_one_clear_line(root: Path, taken: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ports = {"--port": str(free_port()), "--admin-port": str(free_port()), taken: str(other.getsockname()[1])}
        text = stillroom(root, "serve", "--candidate", *(part for pair in ports.items() for part in pair), ok=False)
    assert f"port {ports[taken]} is taken" in text and f"another with {taken}" in text


def test_secrets_are_their_owners_and_each_process_gets_its_own(root: Path, first: Serve) -> None:
    files = sorted((root / tokens.FOLDER).iterdir())
    assert [(path.name, path.stat().st_mode & 0o777) for path in files] == [
        ("admin_token", 0o600),
        ("follower_token", 0o600),
        ("ticket_key", 0o600),
    ]
    given: dict[str, set[str]] = {}
    for pid, name in first.processes().items():
        given.setdefault(name, set()).update(psutil.Process(pid).environ().keys() & set(tokens.ALL))
    assert given == {"service": {tokens.TICKETS}, "keeper": {tokens.ADMIN, tokens.FOLLOWER}}
    assert (root / tokens.place(tokens.ADMIN)).read_text().strip() not in first.said()


def test_workers_follow_a_change_and_no_request_is_lost(root: Path, first: Serve) -> None:
    with Load(first.url, {n: None for n in range(100)}) as load:
        for share in ("0.2", "1.0", "0.0"):
            stillroom(root, "rollout", "share", share, "--reason", "a drill")
            wanted = first.row().generation
            until(lambda g=wanted: first.followed_by(2, g), "both workers report it", FOLLOWED_WITHIN_S)  # type: ignore[misc]
        last = first.row().generation
        until(lambda: load.answered[last, "control"] > 20, "answers of the last row")
    assert not load.faults and not load.lost
    assert not load.answered[last, "treatment"] and load.answered[last - 1, "treatment"]
    assert not load.answered[last - 1, "control"]


def test_nobody_changes_the_row_without_the_token(root: Path, first: Serve) -> None:
    before = first.row()
    text = stillroom(root, "rollout", "share", "0.9", ok=False, STILLROOM_ADMIN_TOKEN="guess")
    assert "a wrong token" in text
    asked = {"expected": before.generation, "share": 0.9}
    for headers in ({}, {"Authorization": "Bearer guess"}, {"Authorization": "Basic guess"}):
        assert httpx.post(f"{first.keeper.url}/share", json=asked, headers=headers).status_code == 401
        assert first.client.post("/share", json=asked, headers=headers).status_code == 404, "not on the public port"
    follower = (root / tokens.place(tokens.FOLLOWER)).read_text().strip()
    refused = httpx.post(f"{first.keeper.url}/share", json=asked, headers={"Authorization": f"Bearer {follower}"})
    assert refused.status_code == 401, "the follower's token offers packages, no more"
    assert first.row() == before
    shown = json.loads(stillroom(root, "status", "--json"))
    assert [event["kind"] for event in shown["events"][:5]] == ["refused"] * 5, "each is in the audit log"


def test_a_corrupt_package_is_refused_and_the_last_good_one_goes_on(root: Path, first: Serve) -> None:
    other = made_package.make(root / "other", salt="other", stages=[0.9], control=CONTROL, **CALM)
    stillroom(root, "rollout", "offer", "other", "--version", "3")
    before = first.row()
    assert (before.version, before.package, before.share) == ("3", str(other), 0.9)
    until(lambda: first.followed_by(2, before.generation), "the other package is served")
    corrupt = made_package.make(root / "corrupt", seed=4, control=CONTROL, **CALM)
    model = corrupt / "treatment.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"\0")
    text = stillroom(root, "rollout", "offer", "corrupt", "--version", "4", ok=False)
    assert "treatment.onnx: changed since it was packaged" in text
    assert first.row() == before and first.followed_by(2, before.generation)
    with Load(first.url, {n: None for n in range(100)}) as load:
        until(lambda: sum(load.answered.values()) > 20, "answers go on")
    assert not load.faults and not load.lost


def test_a_killed_keeper_and_a_killed_service_come_back(first: Serve) -> None:
    before = first.row()
    for name in ("keeper", "service"):
        old = {pid for pid, server in first.processes().items() if server == name}
        os.kill(first.of(name), signal.SIGKILL)
        until(lambda n=name: f"the {n} was killed by SIGKILL; starting it again" in first.said(), "it is told")  # type: ignore[misc]
        until(lambda: first.ready() and first.followed_by(2, before.generation), f"{name} is back")
        assert not old & first.processes().keys()
    assert first.row() == before, "a keeper that comes back begins nothing anew"


def test_database_away_second_server_and_takeover(root: Path, first: Serve) -> None:
    before = first.row().generation
    held = (root / DATABASE).rename(root / "held.db")
    with Load(first.url, {n: None for n in range(100)}) as load:
        second = Serve(root, "--candidate")
        try:
            until(second.ready, "a server boots while the database is away")
            assert second.client.post("/predict", json={"inputs": IMAGES.tolist()}).status_code == 200
            assert f"the keeper at {first.keeper.url} keeps this rollout already" in second.said()
            assert not (root / DATABASE).exists(), "nobody puts an empty one in its place"
            text = stillroom(root, "rollout", "share", "0.7", ok=False)
            assert "there is no such file" in text
            held.rename(root / DATABASE)
            until(lambda: first.followed_by(3, before), "all three workers follow the restored row")
            stillroom(root, "rollout", "share", "1.0")
            until(lambda: first.followed_by(3, before + 1), "and the next one", FOLLOWED_WITHIN_S)
            until(lambda: load.answered[before + 1, "treatment"] > 20, "answers of the new row")
            load.stop()
            assert not load.faults and not load.lost

            first.stop(signal.SIGKILL)
            gone_s = until(lambda: not first.processes(), "nothing of the first server is left", 10)
            assert gone_s < 10
            until(lambda: "this one takes over" in second.said(), "the second server notices")
            until(lambda: answers(f"{second.keeper.url}/healthz"), "its keeper answers")
            until(lambda: second.followed_by(1, before + 1), "the row is what it was")
            assert f"generation {before + 2}: held" in stillroom(root, "rollout", "hold")
        finally:
            second.stop()
            assert second.process.returncode == 0 and not second.processes(), second.said()
            second.sweep()


def test_without_a_control_plane_there_is_no_keeper_and_ctrl_c_ends_it(root: Path) -> None:
    server = Serve(root, "--candidate", STILLROOM_CONTROL="")
    try:
        until(server.ready, "ready")
        assert set(server.processes().values()) == {"service"}
        began = time.monotonic()
        server.stop(signal.SIGINT)
        assert server.process.returncode == 0 and not server.processes() and time.monotonic() - began < 20
    finally:
        server.sweep()
