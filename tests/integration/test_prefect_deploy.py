"""`prefect deploy` takes prefect.yaml as it is, on a real server, and makes of it what `stillroom schedule` makes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.environment import quiet
from tests.integration.conftest import Checkout, environment
from tests.integration.prefect_server import ask, server
from tests.integration.test_schedule import deployments, register

pytestmark = pytest.mark.integration
SAME = ("name", "entrypoint", "parameters", "tags", "work_pool_name", "paused", "parameter_openapi_schema")


def planned(api: str) -> dict[str, Any]:
    """What there is of the one deployment, as far as both ways say it."""
    (found,) = deployments(api)
    (schedule,) = found["schedules"]
    when = {key: schedule["schedule"][key] for key in ("cron", "timezone")}
    at_once = found["global_concurrency_limit"]["limit"], found["concurrency_options"]["collision_strategy"]
    beats = found["job_variables"]["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]
    same = {key: found[key] for key in SAME}
    return {**same, **when, "active": schedule["active"], "at_once": at_once, "heartbeat": beats, "id": found["id"]}


def automations(api: str) -> list[tuple[str, bool, tuple[str, ...]]]:
    found = ask(api, "/automations/filter", {})
    return sorted((one["name"], one["enabled"], tuple(sorted(one["trigger"]["expect"]))) for one in found)


def deploy(checkout: Checkout, api: str) -> None:
    home = {"PREFECT_API_URL": api, "PREFECT_HOME": str(checkout.root / ".stillroom/prefect")}
    env = {**environment(), **quiet(), **home, "PYTHONPATH": str(checkout.root)}
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(command, cwd=checkout.root, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prefect_deploy_makes_what_stillroom_schedule_makes(
    new_checkout: Callable[[str], Checkout], tmp_path: Path
) -> None:
    checkout = new_checkout("deploy")
    with server(tmp_path, environment()) as api:
        register(checkout, api)
        ours, beside = planned(api), automations(api)
        for _ in range(2):
            deploy(checkout, api)
            assert planned(api) == ours
            assert automations(api) == beside, "its own in place of ours, and of its own"
        register(checkout, api)
        assert planned(api) == ours
        assert automations(api) == beside, "one that rings on drift, whoever put it there, and one on silence"
