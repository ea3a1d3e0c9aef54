"""The deployment `retrain/nightly` as Prefect's API takes it, and the two automations beside it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.environment import quiet
from tasks.plan.schema import Schedule

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.events.schemas.automations import AutomationCore

POOL = "stillroom"
NAME = "retrain/nightly"
DRIFT = "stillroom.drift"  # the event that the keeper sends (serving/keeper)
HEARTBEAT_S = 30  # the shortest that Prefect allows
NOT_THE_WORKERS_OWN = ("PREFECT_HOME", "PREFECT_LOGGING_LEVEL", "PREFECT_SERVER_EPHEMERAL_ENABLED")


def deployment(schedule: Schedule, checkout: Path) -> dict[str, Any]:
    """What to run, where, when, and never twice at once: a run that is planned while another is on is cancelled."""
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions
    from prefect.client.schemas.schedules import CronSchedule
    from prefect.utilities.callables import parameter_schema

    from flows.retrain import retrain

    cron = CronSchedule(cron=schedule.cron, timezone=schedule.timezone)
    environment = {key: value for key, value in quiet().items() if key not in NOT_THE_WORKERS_OWN}
    environment |= {"PYTHONPATH": str(checkout), "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S)}
    return {
        "name": NAME.partition("/")[2],
        "description": retrain.__doc__,
        "tags": ["stillroom"],
        "entrypoint": "flows/retrain.py:retrain",
        "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": str(checkout)}}],
        "work_pool_name": POOL,
        "job_variables": {"env": environment},
        "schedules": [DeploymentScheduleCreate(schedule=cron)],
        "parameters": parameters(schedule),
        "parameter_openapi_schema": parameter_schema(retrain).model_dump(exclude_unset=True),
        "enforce_parameter_schema": True,
        "concurrency_limit": 1,
        "concurrency_options": ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
        "paused": False,
    }


def parameters(schedule: Schedule) -> dict[str, Any]:
    """The flow's parameters as schedule.yaml says."""
    return {
        "workers": schedule.workers,
        "promote_winner": schedule.promote,
        "watch_s": schedule.watch_s,
        "webhook": schedule.webhook,
    }


def on_drift(deployment_id: UUID, *, enabled: bool) -> AutomationCore:
    """Run it when the live service reports drift. The deployment owns it, so that `prefect deploy` replaces it."""
    from prefect.events.actions import RunDeployment
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

    return AutomationCore(
        name="stillroom: retrain on drift",
        description="The live service sends an event when its traffic no longer looks like the data of the model.",
        enabled=enabled,
        trigger=EventTrigger(expect={DRIFT}, posture=Posture.Reactive, threshold=1, within=timedelta(0)),
        actions=[RunDeployment(source="selected", deployment_id=deployment_id)],
        owner_resource=f"prefect.deployment.{deployment_id}",
    )


def on_silence(after_s: float = 3 * HEARTBEAT_S) -> AutomationCore:
    """Mark a run as crashed whose process no longer sends heartbeats: it would keep the one place for ever.

    The tag is matched by its id: a heartbeat's has no name. `after_s`: at least 10, as Prefect demands.
    """
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification

    ends = ("Completed", "Failed", "Cancelled", "Crashed")
    silent = EventTrigger(
        match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
        match_related=ResourceSpecification(
            {"prefect.resource.role": "tag", "prefect.resource.id": "prefect.tag.stillroom"}
        ),
        for_each={"prefect.resource.id"},
        after={"prefect.flow-run.heartbeat"},
        expect={"prefect.flow-run.heartbeat", *(f"prefect.flow-run.{end}" for end in ends)},
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=after_s),
    )
    return AutomationCore(
        name="stillroom: runs that fell silent",
        description="A run whose process was killed stays RUNNING otherwise.",
        trigger=silent,
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message="no heartbeat: its process is gone")],
    )


def put(client: SyncPrefectClient, wanted: AutomationCore) -> None:
    """Create the automation in place of all of its name. Not an update: that leaves the owner as it was."""
    for found in client.read_automations():
        if found.name == wanted.name:
            client.delete_automation(found.id)
    client.create_automation(wanted)


def ensure_pool(client: SyncPrefectClient, name: str = POOL) -> None:
    """Create a process work pool unless it is there; one that a person has made or changed stays as it is."""
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectNotFound
    from prefect.workers.process import ProcessWorker

    try:
        client.read_work_pool(name)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=template))
