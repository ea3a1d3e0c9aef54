"""The nightly loop: compress anew, and promote the winner when `schedule.yaml` says so and every gate holds.

`stillroom schedule` deploys this flow (flows/schedule.py); a worker of the pool `stillroom` runs it in the checkout.
`prefect deployment run retrain/nightly` runs it now rather than at night. Only what changed is computed:
DVC remembers the rest.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from prefect import flow, tags, task
from prefect.cache_policies import NO_CACHE

from flows.sweep import driver_tag
from tasks.core.errors import GateError


class PromotionError(Exception):
    """`python -m tasks promote` broke down, as opposed to refusing; the message holds the end of its output."""


def broke_down(task: Any, run: Any, state: Any) -> bool:
    """Whether a promotion failed for a reason that may pass; a refusal stands, being a judgement and no fault."""
    return isinstance(state.data, PromotionError) or "PromotionError" in str(state.message)


def verdict(status: int, output: str) -> str:
    """What the promotion said, when it went through.

    Raises:
        GateError: it was refused; the message names each failed gate.
        PromotionError: it was killed, or ended with a traceback.
    """
    said = output.strip()
    if status == 0:
        return said
    if status < 0 or "Traceback (most recent call last)" in said:
        raise PromotionError(f"promote ended with status {status}:\n{said[-2000:]}")
    raise GateError(said)


@task(
    cache_policy=NO_CACHE,
    persist_result=False,
    task_run_name="promote",
    retries=2,
    retry_delay_seconds=[10, 60],
    retry_condition_fn=broke_down,
)
def promote() -> str:
    """Move the champion alias to the challenger if every gate of promotion.yaml holds, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tasks", "promote"],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return verdict(done.returncode, done.stdout)


@flow(name="retrain", retries=0, persist_result=False)
def retrain(workers: int = 2, promote_winner: bool = False) -> None:
    """Bring the plan up to date with `workers` steps side by side, then promote the winner if asked to."""
    from flows.compress import compress  # here, so that registering the deployment does not load the plan's plug-ins

    with tags(driver_tag()):
        compress(workers=workers)
    if promote_winner:
        print(promote())
    else:
        print("The challenger is registered; `stillroom promote` moves the champion alias to it when the gates hold.")
