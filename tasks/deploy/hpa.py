"""A HorizontalPodAutoscaler on processor use: what a cluster with nothing but metrics-server can do.

Processor use ends at the whole processor: however large the crowd, every turn asks for a bounded number more.
keda.py's triggers see the crowd itself.
"""

from __future__ import annotations

from typing import Annotated, Literal

import yaml
from pydantic import Field

from tasks.deploy.autoscale import NAME, Sizing, check, comment, dump
from tasks.deploy.kubernetes_pods import LABELS, Metadata
from tasks.deploy.kubernetes_shapes import Kube

NOTE = (
    "kubectl apply -f hpa.yaml, after kubernetes.yaml. It or keda.yaml, not both: each would undo the other.",
    "It needs metrics-server in the cluster.",
)


class Target(Kube):
    """The share of the request, in percent, that the autoscaler aims at."""

    type: Literal["Utilization"] = "Utilization"
    average_utilization: Annotated[int, Field(ge=1, le=100)]


class ResourceMetric(Kube):
    """What is watched."""

    name: Literal["cpu"] = "cpu"
    target: Target


class Metric(Kube):
    """One metric of the autoscaler."""

    type: Literal["Resource"] = "Resource"
    resource: ResourceMetric


class Window(Kube):
    """How long the load must last before the number follows, in seconds; Kubernetes takes 0 to 3600."""

    stabilization_window_seconds: Annotated[int, Field(ge=0, le=3600)]


class Behavior(Kube):
    """Up at once, down slowly."""

    scale_up: Window
    scale_down: Window


class ScaleTarget(Kube):
    """Whose number is set."""

    api_version: Literal["apps/v1"] = "apps/v1"
    kind: Literal["Deployment"] = "Deployment"
    name: str


class AutoscalerSpec(Kube):
    """How many pods, and by what."""

    scale_target_ref: ScaleTarget
    min_replicas: Annotated[int, Field(ge=1)]
    max_replicas: Annotated[int, Field(ge=1)]
    metrics: tuple[Metric, ...]
    behavior: Behavior


class Autoscaler(Kube):
    """The HorizontalPodAutoscaler."""

    api_version: Literal["autoscaling/v2"] = "autoscaling/v2"
    kind: Literal["HorizontalPodAutoscaler"] = "HorizontalPodAutoscaler"
    metadata: Metadata
    spec: AutoscalerSpec


def behavior(sizing: Sizing) -> Behavior:
    """At once when there is more load, after the sizing's wait when there is less."""
    return Behavior(
        scale_up=Window(stabilization_window_seconds=0),
        scale_down=Window(stabilization_window_seconds=sizing.scale_down_after_s),
    )


def hpa(sizing: Sizing) -> str:
    """A HorizontalPodAutoscaler, as YAML; PlanError for what Kubernetes does not take.

    Kubernetes' own autoscaler cannot go to zero: a `min_replicas` of 0 becomes 1 here.
    """
    check(sizing)
    spec = AutoscalerSpec(
        scale_target_ref=ScaleTarget(name=NAME),
        min_replicas=max(1, sizing.min_replicas),
        max_replicas=sizing.max_replicas,
        metrics=(Metric(resource=ResourceMetric(target=Target(average_utilization=sizing.target_cpu_percent))),),
        behavior=behavior(sizing),
    )
    document = Autoscaler(metadata=Metadata(name=NAME, labels=LABELS), spec=spec)
    return comment(*NOTE, sizing.origin) + dump(document.plain())


def read_hpa(text: str) -> Autoscaler:
    """Check such a file; ValidationError names every key that is unknown or wrong."""
    return Autoscaler.model_validate(yaml.safe_load(text))
