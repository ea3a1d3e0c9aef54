"""How the service grows with its load: the sizing that all autoscaling files are made from.

bentocloud.py writes a BentoCloud deployment, which scales on requests in flight; kubernetes.py the pods, hpa.py and
keda.py the two ways to scale them, keeper.py the one process that judges. BentoML, the Kubernetes API and KEDA drop or
ignore a key that they do not know; the shapes here make it an error, so that a typo is found before it is deployed.
"""

from __future__ import annotations

from typing import Annotated, Any

import yaml
from pydantic import Field

from tasks.core.errors import PlanError
from tasks.core.frozen import Frozen

NAME = "stillroom"

Cpu = Annotated[str, Field(pattern=r"^[0-9]+m?$")]
Memory = Annotated[str, Field(pattern=r"^[0-9]+(Mi|Gi)$")]


class Resources(Frozen):
    """What one replica asks for."""

    cpu: Cpu | None = None
    memory: Memory


class Sizing(Frozen):
    """What the autoscaling files are made from, for one replica where nothing else is said.

    `origin` says where the figures are from. `target_concurrency` is what a replica is meant to have in flight,
    `concurrency` where it answers 429. `target_in_flight` and `target_requests_per_s` are where another replica is
    asked for; the latter is null where nothing was measured. `startup_s` is how long a replica takes to be ready.
    """

    origin: str
    min_replicas: int
    max_replicas: int
    target_concurrency: int
    target_in_flight: float
    target_requests_per_s: float | None = None
    target_cpu_percent: int
    cpu: str
    memory: str
    scale_down_after_s: int
    startup_s: float
    workers: int
    timeout_s: float
    concurrency: int
    prometheus: str


def check(sizing: Sizing) -> None:
    """PlanError for what rollout.yaml may hold but Kubernetes does not take."""
    if sizing.scale_down_after_s > 3600:
        raise PlanError(
            f"params/rollout.yaml: scaling.scale_down_after_s: {sizing.scale_down_after_s} is more than 3600,"
            " the longest that Kubernetes waits"
        )


def comment(*lines: str) -> str:
    """Lines as a YAML comment."""
    return "".join(f"# {line}\n" for line in lines)


def dump(plain: dict[str, Any]) -> str:
    """YAML in the order given, the same bytes every time."""
    return yaml.safe_dump(plain, sort_keys=False, width=120)
