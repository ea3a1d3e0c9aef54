"""Put `retrain` on its schedule: a process work pool, one deployment and its automations on a running Prefect API.

Registering again updates the same ones: Prefect keys a deployment by flow and name and replaces its schedules and the
runs that they had planned. Settings count when Prefect is imported, hence the imports inside the functions.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

from rich.console import Console

from flows.deployment import DRIFT, NAME, POOL, deployment, ensure_pool, on_drift, on_silence, put
from flows.environment import quiet
from tasks.core.errors import StillroomError
from tasks.plan.schema import Schedule, Settings

DEFAULT_API = "http://127.0.0.1:4200/api"
ANSWER_WITHIN_S = 10
KEEPERS_API = "STILLROOM_PREFECT_API"  # where the keeper sends its events; wins over rollout.yaml


class NoApiError(StillroomError):
    """No Prefect API answers where the deployment should go."""


class Registered(NamedTuple):
    """What `register` left on the server."""

    id: str
    name: str
    next_runs: tuple[datetime, ...]
    worker_command: str


def api_url() -> str:
    """The Prefect API to register with: `PREFECT_API_URL`, else the one that `stillroom ui` starts.

    Raises:
        NoApiError: it does not answer its health check.
    """
    url = os.environ.get("PREFECT_API_URL", "").rstrip("/") or DEFAULT_API
    try:
        with urlopen(f"{url}/health", timeout=ANSWER_WITHIN_S):
            return url
    except (URLError, OSError, ValueError) as e:
        raise NoApiError(
            f"PREFECT_API_URL: no Prefect API answers at {url} ({getattr(e, 'reason', e)}). Start one with "
            "`stillroom ui` or `prefect server start`, or give the address of one that runs (it ends in /api)."
        ) from e


def next_runs(schedule: Schedule, count: int = 3) -> tuple[datetime, ...]:
    """The next `count` times the schedule fires, in its own time zone, by the scheduler's own arithmetic."""
    import asyncio

    from prefect.server.schemas.schedules import CronSchedule

    return tuple(asyncio.run(CronSchedule(cron=schedule.cron, timezone=schedule.timezone).get_dates(count)))


def register(settings: Settings) -> Registered:
    """Create or update the deployment `retrain/nightly` from `settings.schedule`, and say when it runs next.

    Raises:
        NoApiError: no Prefect API answers.
    """
    url = api_url()
    os.environ.update({**quiet(), "PREFECT_API_URL": url})
    Path(os.environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)  # Prefect itself makes no parents
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: url}), get_client(sync_client=True) as client:
        ensure_pool(client)
        flow_id = client.create_flow_from_name(NAME.partition("/")[0])
        made = client.create_deployment(flow_id=flow_id, **deployment(settings.schedule, Path.cwd()))
        put(client, on_drift(made, enabled=settings.schedule.on_drift))
        put(client, on_silence())
    prefect = Path(sys.executable).parent / "prefect"
    prefect = prefect.relative_to(Path.cwd()) if prefect.is_relative_to(Path.cwd()) else prefect
    worker = f"PREFECT_API_URL={url} {prefect} worker start --pool {POOL}"
    registered = Registered(str(made), NAME, next_runs(settings.schedule), worker)
    show(registered, settings)
    return registered


def show(registered: Registered, settings: Settings) -> None:
    """Print the deployment's name, when it runs, what it leaves out, and the command that starts a worker for it."""
    console, schedule = Console(), settings.schedule
    console.print(f"[bold]{registered.name}[/] is registered: {schedule.cron!r} in {schedule.timezone}, next at")
    for when in registered.next_runs:
        console.print(f"  {when:%Y-%m-%d %H:%M %Z}")
    if schedule.on_drift:
        console.print(f"and whenever the live service sends the event {DRIFT}.")
        if not os.environ.get(KEEPERS_API, settings.rollout.notify.prefect_api):
            console.print(
                f"[yellow]Nobody sends it[/]: notify.prefect_api in params/rollout.yaml is empty, and {KEEPERS_API} is"
                " not set; either is this API's address, as the keeper reaches it.",
                soft_wrap=True,
            )
    if not schedule.promote:
        console.print("It promotes nothing by itself: promote in params/schedule.yaml is false.", soft_wrap=True)
    console.print("It runs while a worker does; start one with")
    console.print(f"  {registered.worker_command}", soft_wrap=True, highlight=False)
