"""Orders carried by a Prefect work pool: a process pool whose workers have checkouts, or Kubernetes jobs."""

from __future__ import annotations

import json
import os
import time
from typing import Any
from uuid import UUID

from flows.deployment import ensure_pool
from flows.order import Done, NoWorkerError, Order, WorkerLostError
from flows.runners.pulse import ENVIRONMENT, Pulse, last_beat
from flows.schedule import api_url

FLOW = "reproduce"
ENTRYPOINT = "flows.runners.job.job"  # a module: it is imported from the worker's checkout, wherever that is
LOOK_EVERY_S = 1.0
LOOKS_PER_BEAT = 15


class Pool:
    """A deployment on a work pool; every order is a flow run of it."""

    def __init__(self, deployment: UUID):
        self._deployment = deployment

    def carry(self, order: Order) -> Done:
        """The answer of whichever worker is free first."""
        from prefect.client.orchestration import get_client
        from prefect.deployments import run_deployment

        started: Any = run_deployment(
            self._deployment,
            parameters={"order": order.model_dump_json()},
            flow_run_name=order.stage,
            job_variables=_image(order.revision),
            timeout=0,
        )
        with get_client(sync_client=True) as client:
            state = _final_state(client, started.id)
            answer = _answer(client, started.id)
        if answer is None:
            raise WorkerLostError(f"{order.stage}: flow run {started.id} ended as {state.name}: {state.message}")
        return answer

    def close(self) -> None:
        """Nothing is open."""


def _image(revision: str) -> dict[str, str] | None:
    """The image that holds a commit, where STILLROOM_IMAGE says how they are named: `registry/name:{revision}`."""
    named = os.environ.get("STILLROOM_IMAGE")
    return {"image": named.replace("{revision}", revision)} if named else None


def _final_state(client: Any, flow_run: UUID) -> Any:
    """The state that a flow run ends in; one that shows no life any more is marked as crashed."""
    from prefect.states import Crashed

    pulse, looks = Pulse(), 0
    while True:
        run = client.read_flow_run(flow_run)
        if run.state is not None and run.state.is_final():
            return run.state
        look = run.state is not None and looks % LOOKS_PER_BEAT == 0
        if look and pulse.stopped(run.state.type.value, last_beat(client, run)):
            crashed: Any = Crashed(message="No sign of life: its worker, or the machine, is gone.")
            client.set_flow_run_state(flow_run, crashed, force=True)
            return crashed
        looks += 1
        time.sleep(LOOK_EVERY_S)


def _answer(client: Any, flow_run: UUID) -> Done | None:
    """The answer that a flow run left, its one table; None when it ended before it had one.

    Prefect itself keeps another artifact of a run that failed.
    """
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterType

    tables, runs = ArtifactFilterType(any_=["table"]), ArtifactFilterFlowRunId(any_=[flow_run])
    of_run = ArtifactFilter(flow_run_id=runs, type=tables)
    found = client.read_artifacts(artifact_filter=of_run)
    return Done.model_validate_json(json.loads(found[0].data)[0]["answer"]) if found else None


def opened(address: str) -> Pool:
    """Create the pool `address` where there is none, and the deployment `reproduce/ADDRESS` on it.

    Raises:
        NoWorkerError: there is no Prefect API that workers could share.
    """
    from prefect.client.orchestration import get_client

    if not os.environ.get("PREFECT_API_URL"):
        raise NoWorkerError(
            "--runner pool: set PREFECT_API_URL to a Prefect API that the workers reach too; `stillroom ui` and "
            "`prefect server start` start one"
        )
    api_url()
    with get_client(sync_client=True) as client:
        ensure_pool(client, address)
        deployment = client.create_deployment(
            flow_id=client.create_flow_from_name(FLOW),
            name=address,
            description="One stage, ordered by `stillroom run --runner pool`.",
            tags=["stillroom"],
            entrypoint=ENTRYPOINT,
            work_pool_name=address,
            job_variables={"env": ENVIRONMENT},
        )
    return Pool(deployment)
