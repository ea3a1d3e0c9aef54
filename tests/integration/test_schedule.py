"""A real Prefect server: params/schedule.yaml becomes one deployment, whose runs the server plans by itself."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.request import Request, urlopen

import pytest

from flows.environment import quiet
from serving.control.state import State
from serving.keeper.notify import Notice, to_prefect
from tests.integration.conftest import Checkout, environment
from tests.integration.prefect_server import ask, server, wait_until

pytestmark = pytest.mark.integration
SCHEDULED_WITHIN_S = 120  # the scheduler looks about once a minute


def send(url: str, body: Any) -> None:
    """One POST whose answer is empty."""
    request = Request(url, data=json.dumps(body).encode(), headers={"content-type": "application/json"})
    with urlopen(request, timeout=120) as answer:
        assert answer.status in {200, 204}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server(tmp_path_factory.mktemp("prefect"), environment()) as url:
        yield url


@pytest.fixture(scope="module")
def checkout(new_checkout: Callable[[str], Checkout]) -> Checkout:
    found = new_checkout("schedule")
    found.edit("params/schedule.yaml", '"0 2 * * *"', '"30 3 * * *"')
    found.edit("params/schedule.yaml", "timezone: UTC", "timezone: Europe/Amsterdam")
    return found


def register(checkout: Checkout, api: str) -> str:
    """`stillroom schedule` in the checkout; what it printed."""
    code = (
        "from flows.schedule import register; from tasks.plan import load; import flows; "
        "print(flows.__file__); print(register(load()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=checkout.root,
        env={**environment(), "PREFECT_API_URL": api},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def deployments(api: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(api, "/deployments/filter", {})
    return found


def scheduled(api: str, deployment: str) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = ask(
        api,
        "/flow_runs/filter",
        {
            "deployments": {"id": {"any_": [deployment]}},
            "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
            "sort": "EXPECTED_START_TIME_ASC",
        },
    )
    return runs


def test_prefects_server_can_be_imported() -> None:
    """The pin on FastAPI: with a newer one this import raises, and no flow can run at all."""
    subprocess.run(
        [sys.executable, "-c", "import prefect.server.api.server"], check=True, env=environment(), timeout=300
    )


def test_no_api_is_said_in_one_line_with_what_to_do(checkout: Checkout) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{probe.getsockname()[1]}/api"
        code = "from flows.schedule import api_url; api_url()"
        env = {**environment(), "PREFECT_API_URL": nobody}
        done = subprocess.run([sys.executable, "-c", code], cwd=checkout.root, env=env, capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert "NoApiError" in last and nobody in last and "stillroom ui" in last and "prefect server start" in last


def test_the_server_plans_the_runs_of_the_registered_deployment(checkout: Checkout, api: str) -> None:
    printed = register(checkout, api)
    assert str(checkout.root) in printed.splitlines()[0], "the checkout's own code must be the one that runs"
    assert "retrain/nightly" in printed
    assert f"PREFECT_API_URL={api}" in printed and "worker start --pool stillroom" in printed

    (deployment,) = deployments(api)
    assert deployment["name"] == "nightly"
    assert deployment["entrypoint"] == "flows/retrain.py:retrain"
    assert deployment["work_pool_name"] == "stillroom"
    assert deployment["parameters"] == {"workers": 2, "promote_winner": False, "watch_s": 3600, "webhook": ""}
    assert deployment["global_concurrency_limit"]["limit"] == 1
    assert deployment["pull_steps"][0]["prefect.deployments.steps.set_working_directory"]["directory"] == str(
        checkout.root
    )
    (schedule,) = deployment["schedules"]
    assert schedule["active"]
    assert (schedule["schedule"]["cron"], schedule["schedule"]["timezone"]) == ("30 3 * * *", "Europe/Amsterdam")
    assert ask(api, "/work_pools/stillroom")["type"] == "process"

    runs = wait_until("a SCHEDULED run", SCHEDULED_WITHIN_S, lambda: scheduled(api, deployment["id"]))
    first = datetime.fromisoformat(runs[0]["expected_start_time"]).astimezone(UTC)
    assert runs[0]["auto_scheduled"]
    assert first > datetime.now(UTC)
    assert (first.hour, first.minute) in {(1, 30), (2, 30)}, "03:30 in Amsterdam, in summer or in winter"


def test_registering_again_updates_the_one_deployment(checkout: Checkout, api: str) -> None:
    register(checkout, api)
    (before,) = deployments(api)
    checkout.edit("params/schedule.yaml", '"30 3 * * *"', '"45 4 * * 1"')
    checkout.edit("params/schedule.yaml", "workers: 2", "workers: 3")
    register(checkout, api)
    (after,) = deployments(api)
    assert after["id"] == before["id"]
    assert after["parameters"]["workers"] == 3
    (schedule,) = after["schedules"]
    assert schedule["schedule"]["cron"] == "45 4 * * 1"
    assert after["global_concurrency_limit"]["limit"] == 1
    runs = wait_until("a run of the new schedule", SCHEDULED_WITHIN_S, lambda: scheduled(api, after["id"]))
    starts = [datetime.fromisoformat(run["expected_start_time"]).astimezone(UTC) for run in runs]
    assert all(start.minute == 45 for start in starts), "runs of the old schedule are gone"
    assert len(ask(api, "/work_pools/filter", {})) == 1


def test_the_flow_can_be_loaded_the_way_a_worker_does(checkout: Checkout) -> None:
    code = (
        "from prefect.flows import load_flow_from_entrypoint as load; "
        "f = load('flows/retrain.py:retrain'); print(f.name, sorted(f.parameters.properties))"
    )
    env = {**environment(), **quiet(), "PREFECT_HOME": str(checkout.root / ".stillroom/prefect")}
    env["PYTHONPATH"] = str(checkout.root)
    done = subprocess.run([sys.executable, "-c", code], cwd=checkout.root, env=env, capture_output=True, text=True)
    assert done.stdout.strip() == "retrain ['promote_winner', 'watch_s', 'webhook', 'workers']", done.stderr


def test_drift_in_the_live_service_starts_a_run_and_one_only(checkout: Checkout, api: str) -> None:
    register(checkout, api)
    automations = {found["name"]: found for found in ask(api, "/automations/filter", {})}
    assert len(automations) == 2, "registering again replaces them"
    (planned,) = deployments(api)

    def drifted() -> list[dict[str, Any]]:
        return [run for run in scheduled(api, planned["id"]) if not run["auto_scheduled"]]

    assert not drifted()
    row = State(generation=3, package="/p", version="7", share=0.5, by="judge")
    notice = Notice(event="stillroom.drift", text="inputs moved", at_s=time.time(), row=row, numbers={"psi": 0.31})
    letter = to_prefect(api, notice, {})
    send(letter.url, json.loads(letter.body))
    (run,) = wait_until("a run", SCHEDULED_WITHIN_S, drifted)
    assert run["parameters"]["promote_winner"] is False
    time.sleep(3)
    assert len(drifted()) == 1


def test_drift_starts_nothing_where_the_schedule_says_so(checkout: Checkout, api: str) -> None:
    checkout.edit("params/schedule.yaml", "on_drift: true", "on_drift: false")
    register(checkout, api)
    enabled = {found["name"]: found["enabled"] for found in ask(api, "/automations/filter", {})}
    assert enabled == {"stillroom: retrain on drift": False, "stillroom: runs that fell silent": True}
