"""A Kubernetes Deployment: its shape, strict, and the one that a sizing gives."""

from __future__ import annotations

import math
from typing import Literal

from tasks.deploy.autoscale import NAME, Sizing
from tasks.deploy.kubernetes_container import LEAVE_S, PORT, container
from tasks.deploy.kubernetes_shapes import Container, Kube

LABELS = {"app.kubernetes.io/name": NAME}


class Metadata(Kube):
    """Name and labels."""

    name: str | None = None
    labels: dict[str, str]
    annotations: dict[str, str] | None = None


class Selector(Kube):
    """Which pods belong."""

    match_labels: dict[str, str]


class Spread(Kube):
    """Not all pods on one node, where there are several."""

    max_skew: int
    topology_key: str
    when_unsatisfiable: Literal["ScheduleAnyway", "DoNotSchedule"]
    label_selector: Selector


class PodSpec(Kube):
    """What runs in a pod."""

    termination_grace_period_seconds: int
    topology_spread_constraints: tuple[Spread, ...] | None = None
    containers: tuple[Container, ...]


class PodTemplate(Kube):
    """The pod that a Deployment copies."""

    metadata: Metadata
    spec: PodSpec


class RollingUpdate(Kube):
    """How many pods more or fewer while the pods are replaced."""

    max_unavailable: int
    max_surge: int


class Strategy(Kube):
    """How pods are replaced; `Recreate`: the old one ends before the new one starts."""

    type: Literal["RollingUpdate", "Recreate"]
    rolling_update: RollingUpdate | None = None


class DeploymentSpec(Kube):
    """`replicas` is null where an autoscaler owns the number: applying the file again must not reset it."""

    replicas: int | None = None
    strategy: Strategy
    selector: Selector
    template: PodTemplate


class Deployment(Kube):
    """The pods."""

    api_version: Literal["apps/v1"] = "apps/v1"
    kind: Literal["Deployment"] = "Deployment"
    metadata: Metadata
    spec: DeploymentSpec


def scraped(port: int) -> dict[str, str]:
    """The annotations by which Prometheus finds a pod's /metrics."""
    return {"prometheus.io/scrape": "true", "prometheus.io/path": "/metrics", "prometheus.io/port": str(port)}


def pods(sizing: Sizing) -> DeploymentSpec:
    """The pods of a sizing, with the probes that BentoML answers."""
    spread = Spread(
        max_skew=1,
        topology_key="kubernetes.io/hostname",
        when_unsatisfiable="ScheduleAnyway",
        label_selector=Selector(match_labels=LABELS),
    )
    return DeploymentSpec(
        strategy=Strategy(type="RollingUpdate", rolling_update=RollingUpdate(max_unavailable=0, max_surge=1)),
        selector=Selector(match_labels=LABELS),
        template=PodTemplate(
            metadata=Metadata(labels=LABELS, annotations=scraped(PORT)),
            # First it leaves the Service, then requests in hand may take up to the time limit, then it closes down.
            spec=PodSpec(
                termination_grace_period_seconds=LEAVE_S + math.ceil(sizing.timeout_s) + 5,
                topology_spread_constraints=(spread,),
                containers=(container(sizing),),
            ),
        ),
    )
