"""MLflow's champion alias moves under a live server: offered, served, rolled back, and the alias comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import httpx
import pytest

from flows import tokens
from tasks.track.registry import MODEL
from tests import made_package
from tests.e2e.load import Load
from tests.e2e.registry import register, registry
from tests.e2e.supervised import CALM, CONTROL, Serve, bare, stillroom, until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bare(tmp_path_factory.mktemp("registry") / "checkout")


@pytest.fixture(scope="module")
def client(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Versions 1 and 2, of which the first is the champion."""
    packages = tmp_path_factory.mktemp("packages")
    with registry(root) as client:
        for number in (1, 2, 3):
            made = made_package.make(packages / f"v{number}", seed=number, stages=[0.5], control=CONTROL, **CALM)
            assert register(client, made) == str(number)
        client.set_registered_model_alias(MODEL, "champion", "1")
        yield client


@pytest.fixture(scope="module")
def server(root: Path, client: Any) -> Iterator[Serve]:
    server = Serve(root)
    try:
        until(server.ready, "the champion is served")
        until(lambda: server.followed_by(1, 1), "by the row that the keeper made", 30)
        yield server
        server.stop()
        assert server.process.returncode == 0 and not server.processes(), server.said()
    finally:
        server.sweep()


def aliases(client: Any) -> dict[str, str]:
    return {name: str(version) for name, version in client.get_registered_model(MODEL).aliases.items()}


def tags(client: Any, version: str) -> dict[str, str]:
    return dict(client.get_model_version(MODEL, version).tags)


def test_the_alias_is_followed_and_a_rollback_moves_it_back(root: Path, client: Any, server: Serve) -> None:
    assert (server.row().version, set(server.processes().values())) == ("1", {"service", "keeper", "follower"})
    with Load(server.url, {0: 1, 1: 1, 2: 2, 3: 2, 4: 1}) as load:
        client.set_registered_model_alias(MODEL, "previous_champion", "1")
        client.set_registered_model_alias(MODEL, "champion", "2")  # no webhook: found by polling
        until(lambda: server.followed_by(1, 2), "version 2 is served")
        assert (server.row().version, server.row().by) == ("2", "follower")
        assert server.row().package == str(root / ".stillroom" / "serving" / "2")
        until(lambda: load.answered[2, "control"] > 10 and load.answered[2, "treatment"] > 10, "by both of its models")
        until(lambda: "rollout.g0002.package" in tags(client, "2"), "the offer is a tag of the version")

        stillroom(root, "rollout", "rollback", "--reason", "a drill")
        until(lambda: server.followed_by(1, 4), "version 1 is offered again")
        until(lambda: load.answered[4, "control"] > 10 and load.answered[4, "treatment"] > 10, "and served")
    assert not load.faults and not load.lost
    assert not load.answered[3, "treatment"]
    assert aliases(client) == {"champion": "1"}
    found = tags(client, "2")
    told = json.loads(found["rollout.g0003.rollback"])
    assert "a drill" in told["reason"] and told["share"] == 0.0 and told["version"] == "2"
    assert found["rolled_back"] and found["rollout"].startswith("rollback: share 0")
    assert "rolled_back" not in tags(client, "1")


def test_a_webhook_wakes_and_a_damaged_download_is_not_offered(root: Path, client: Any, server: Serve) -> None:
    before = server.row()
    run = client.get_run(client.get_model_version(MODEL, "3").run_id)
    model = Path(url2pathname(urlparse(run.info.artifact_uri).path)) / "package" / "treatment.onnx"
    kept = model.read_bytes()
    model.write_bytes(kept[:-1] + b"\0")
    wake = {"Authorization": f"Bearer {(root / tokens.place(tokens.FOLLOWER)).read_text().strip()}"}
    client.set_registered_model_alias(MODEL, "champion", "3")
    assert httpx.post(f"{server.keeper.url}/wake", headers=wake).status_code == 202
    until(lambda: "treatment.onnx: wrong SHA-256" in server.said(), "it is told")
    assert server.row() == before and server.followed_by(1, before.generation)
    model.write_bytes(kept)
    assert httpx.post(f"{server.keeper.url}/wake", headers=wake).status_code == 202
    until(lambda: server.followed_by(1, before.generation + 1), "the mended one is served")
    assert server.row().version == "3"
