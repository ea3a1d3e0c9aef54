"""A run whose process is gone, on a real Prefect server: its silence is noticed, and the next run's sweep finds it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from flows.deployment import on_silence, put
from flows.environment import quiet
from flows.sweep import driver_tag, sweep
from tests.integration.conftest import environment
from tests.integration.prefect_server import ask, server, wait_until
from tests.integration.test_schedule import send

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

pytestmark = pytest.mark.integration
SILENCE_S = 10.0  # the least that Prefect allows
NOTICED_WITHIN_S = 90.0
NIGHT = """
import time
from prefect import flow, tags

@flow
def night() -> None:
    time.sleep(600)

with tags("stillroom"):
    night()
"""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server(tmp_path_factory.mktemp("prefect"), environment()) as url:
        yield url


@pytest.fixture
def client(api: str) -> Iterator[SyncPrefectClient]:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as made:
        yield made


@contextmanager
def night(api: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A real run, in a process of its own, that sends heartbeats as the deployment has it do."""
    beats = {"PREFECT_API_URL": api, "PREFECT_HOME": str(folder), "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
    (folder / "night.py").write_text(NIGHT, encoding="utf-8")
    command = [sys.executable, str(folder / "night.py")]
    process = subprocess.Popen(command, env={**environment(), **quiet(), **beats}, cwd=folder)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def running(client: SyncPrefectClient, *tags: str) -> str:
    """A run that is RUNNING, by nobody."""
    from prefect import flow
    from prefect.client.schemas.objects import State, StateType
    from prefect.states import Running

    state: State[object] = Running()
    made = client.create_flow_run(flow(lambda: None, name="by-hand"), tags=list(tags))
    client.set_flow_run_state(made.id, state, force=True)
    assert client.read_flow_run(made.id).state_type is StateType.RUNNING
    return str(made.id)


def heartbeats(api: str) -> list[dict[str, Any]]:
    found: dict[str, Any] = ask(api, "/events/filter", {"filter": {"event": {"name": ["prefect.flow-run.heartbeat"]}}})
    events: list[dict[str, Any]] = found["events"]
    return events


def beat(api: str, like: dict[str, Any], run: str, tag: str = "stillroom") -> None:
    """A heartbeat of `run`, as a real one but for whose it is."""
    assert [one for one in like["related"] if one["prefect.resource.id"] == "prefect.tag.stillroom"]
    related = [{"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"}]
    about = {"prefect.resource.id": f"prefect.flow-run.{run}", "prefect.resource.name": "by hand"}
    now = {"id": str(uuid4()), "occurred": datetime.now(UTC).isoformat(), "event": like["event"]}
    send(f"{api}/events", [{**now, "resource": about, "related": related, "payload": {}}])


def state(api: str, run: str) -> str:
    found: str = ask(api, f"/flow_runs/{run}")["state_type"]
    return found


def test_a_killed_run_is_marked_as_crashed_and_no_other(api: str, client: SyncPrefectClient, tmp_path: Path) -> None:
    from prefect.client.schemas.objects import State
    from prefect.states import Completed

    put(client, on_silence(SILENCE_S))
    with night(api, tmp_path) as process:
        real = wait_until("its first heartbeat", 120, lambda: heartbeats(api))[0]
        assert process.poll() is None
    killed = real["resource"]["prefect.resource.id"].removeprefix("prefect.flow-run.")
    assert state(api, killed) == "RUNNING", "nobody knows yet"

    lives, another, ended = running(client, "stillroom"), running(client, "elsewhere"), running(client, "stillroom")
    beat(api, real, another, tag="elsewhere")
    beat(api, real, ended)
    done: State[object] = Completed()
    client.set_flow_run_state(ended, done, force=True)  # type: ignore[arg-type]
    begin = time.monotonic()

    def noticed() -> bool:
        beat(api, real, lives)
        return state(api, killed) == "CRASHED" and time.monotonic() > begin + 2 * SILENCE_S

    wait_until("the crash", NOTICED_WITHIN_S, noticed)
    assert ask(api, f"/flow_runs/{killed}")["state"]["message"] == "no heartbeat: its process is gone"
    assert [state(api, run) for run in (lives, another, ended)] == ["RUNNING", "RUNNING", "COMPLETED"]
    wait_until("the silence of the other one", NOTICED_WITHIN_S, lambda: state(api, lives) == "CRASHED")
    assert state(api, another) == "RUNNING"


def test_the_next_run_sweeps_those_of_dead_processes_on_this_host_alone(api: str, client: SyncPrefectClient) -> None:
    host = socket.gethostname()
    dead = running(client, f"driver:{host}:{os.getpid()}:1.00")
    others = [running(client, tag) for tag in (driver_tag(), "driver:another-host:1:1.00", "stillroom")]
    assert sweep() == 1
    assert state(api, dead) == "CRASHED"
    assert {state(api, run) for run in others} == {"RUNNING"}
    assert sweep() == 0, "it is done"
