"""A Kubernetes Deployment: its shape, strict, and the one that a sizing gives."""

from __future__ import annotations

import math
from typing import Literal

from tasks.deploy.autoscale import NAME, Sizing
from tasks.deploy.kubernetes_container import LEAVE_S, PORT, Container, Kube, container

LABELS = {"app.kubernetes.io/name": NAME}


class Metadata(Kube):
    """Name and labels."""

    name: str | None = None
    labels: dict[str, str]
    annotations: dict[str, str] | None = None


class PodSpec(Kube):
    """What runs in a pod."""

    termination_grace_period_seconds: int
    containers: tuple[Container, ...]


class PodTemplate(Kube):
    """The pod that a Deployment copies."""

    metadata: Metadata
    spec: PodSpec


class Selector(Kube):
    """Which pods belong."""

    match_labels: dict[str, str]


class DeploymentSpec(Kube):
    """No `replicas`: the autoscaler owns the number, and applying the file again must not reset it."""

    selector: Selector
    template: PodTemplate


class Deployment(Kube):
    """The pods."""

    api_version: Literal["apps/v1"] = "apps/v1"
    kind: Literal["Deployment"] = "Deployment"
    metadata: Metadata
    spec: DeploymentSpec


def pods(sizing: Sizing) -> DeploymentSpec:
    """The pods of a sizing, with the probes that BentoML answers."""
    annotations = {"prometheus.io/scrape": "true", "prometheus.io/path": "/metrics", "prometheus.io/port": str(PORT)}
    return DeploymentSpec(
        selector=Selector(match_labels=LABELS),
        template=PodTemplate(
            metadata=Metadata(labels=LABELS, annotations=annotations),
            # First it leaves the Service, then requests in hand may take up to the time limit, then it closes down.
            spec=PodSpec(
                termination_grace_period_seconds=LEAVE_S + math.ceil(sizing.timeout_s) + 5,
                containers=(container(sizing),),
            ),
        ),
    )
