"""How the service grows with its load: the sizing that both autoscaling files are made from.

bentocloud.py writes a BentoCloud deployment, which scales on requests in flight; kubernetes.py writes a Kubernetes
Deployment, Service and HorizontalPodAutoscaler, which scale on processor use. BentoML and the Kubernetes API drop or
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
    """What the autoscaling files are made from: params/rollout.yaml's `scaling`, and the limits of one replica."""

    min_replicas: int
    max_replicas: int
    target_concurrency: int
    target_cpu_percent: int
    cpu: str
    memory: str
    scale_down_after_s: int
    workers: int
    timeout_s: float
    concurrency: int


def check(sizing: Sizing) -> None:
    """PlanError for what rollout.yaml may hold but Kubernetes does not take."""
    if sizing.scale_down_after_s > 3600:
        raise PlanError(
            f"params/rollout.yaml: scaling.scale_down_after_s: {sizing.scale_down_after_s} is more than 3600,"
            " the longest that Kubernetes waits"
        )


def dump(plain: dict[str, Any]) -> str:
    """YAML in the order given, the same bytes every time."""
    return yaml.safe_dump(plain, sort_keys=False, width=120)
