"""What a worker of a Prefect work pool runs for one order: a flow run of its own, its answer kept as its artifact."""

from __future__ import annotations

from prefect import flow
from prefect.artifacts import create_table_artifact

from flows.order import Done
from flows.runners.ship import at_worker
from tasks.core.errors import StillroomError


class NotDoneError(StillroomError):
    """The stage failed, or the worker refused it."""


@flow(name="reproduce", retries=0, persist_result=False)
def job(order: str) -> None:
    """Fill an order (JSON); the answer is this run's artifact, which is all that its driver reads."""
    answer = at_worker(order)
    done = Done.model_validate_json(answer)
    row = {"stage": done.stage, "how": done.how, "worker": done.worker, "log": "\n".join(done.log), "answer": answer}
    create_table_artifact([row], description=f"{done.stage}: {done.how}")
    if done.how == "failed" or done.how == "refused":
        raise NotDoneError(done.why)
