"""The sizing that params/rollout.yaml asks for, before anything is measured."""

from __future__ import annotations

from tasks.deploy.autoscale import Sizing
from tasks.plan.service import Rollout

ORIGIN = "Not measured: the figures are those of `scaling` in params/rollout.yaml; `stillroom capacity` measures them."
ROOM = 0.7  # of what a replica is meant to have in flight: where the next one is asked for
STARTUP_S = 10.0


def planned(rollout: Rollout) -> Sizing:
    """Its figures as they stand there."""
    scaling = rollout.scaling
    return Sizing(
        origin=ORIGIN,
        **scaling.model_dump(),
        target_in_flight=ROOM * scaling.target_concurrency,
        startup_s=STARTUP_S,
        workers=rollout.workers,
        timeout_s=rollout.limits.timeout_s,
        concurrency=rollout.limits.concurrency,
    )
