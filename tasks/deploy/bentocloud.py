"""A BentoCloud deployment (`bentoml deploy -f`): its shape, strict, and the one that a sizing gives."""

from __future__ import annotations

from typing import Literal

import yaml

from tasks.core.frozen import Frozen
from tasks.deploy.autoscale import NAME, Resources, Sizing, check, comment, dump

NOTE = (
    "bentoml deploy -f bentocloud.yaml, after `bentoml build` and `bentoml push stillroom:latest`.",
    "The control plane's URL, as STILLROOM_CONTROL, belongs in a secret of BentoCloud; the keeper runs elsewhere.",
    "So does one key for all replicas, as STILLROOM_TICKET_KEY (`openssl rand -hex 32`): without it no /feedback.",
)


class Traffic(Frozen):
    """How much one replica takes; `max_concurrency` is where it answers 429."""

    timeout: float
    concurrency: int
    max_concurrency: int


class CloudOverrides(Frozen):
    """What the deployment sets over the service's own configuration."""

    traffic: Traffic
    resources: Resources
    workers: int


class CloudPolicy(Frozen):
    """How long the load must last before the number of replicas follows, in seconds."""

    scale_up_stabilization_window: int
    scale_down_stabilization_window: int


class CloudScaling(Frozen):
    """How many replicas."""

    min_replicas: int
    max_replicas: int
    policy: CloudPolicy


class CloudService(Frozen):
    """One service of the bento."""

    scaling: CloudScaling
    deployment_strategy: Literal["RollingUpdate", "Recreate", "RampedSlowRollout", "BestEffortControlledRollout"]
    config_overrides: CloudOverrides


class CloudDeployment(Frozen):
    """`bentoml deploy -f` reads one of these."""

    name: str
    bento: str
    access_authorization: bool
    services: dict[str, CloudService]


def bentocloud(sizing: Sizing) -> str:
    """A BentoCloud deployment, as YAML; PlanError when `sizing` is out of the platform's range."""
    check(sizing)
    scaling = CloudScaling(
        min_replicas=sizing.min_replicas,
        max_replicas=sizing.max_replicas,
        policy=CloudPolicy(scale_up_stabilization_window=0, scale_down_stabilization_window=sizing.scale_down_after_s),
    )
    overrides = CloudOverrides(
        traffic=Traffic(
            timeout=sizing.timeout_s,
            concurrency=min(sizing.target_concurrency, sizing.concurrency),
            max_concurrency=sizing.concurrency,
        ),
        resources=Resources(cpu=sizing.cpu, memory=sizing.memory),
        workers=sizing.workers,
    )
    service = CloudService(scaling=scaling, deployment_strategy="RollingUpdate", config_overrides=overrides)
    deployment = CloudDeployment(name=NAME, bento=f"{NAME}:latest", access_authorization=True, services={NAME: service})
    return comment(*NOTE, sizing.origin) + dump(deployment.model_dump(mode="json"))


def read_bentocloud(text: str) -> CloudDeployment:
    """Check a BentoCloud deployment; ValidationError names every key that is unknown or wrong."""
    return CloudDeployment.model_validate(yaml.safe_load(text))
