"""Kubernetes files: a Deployment, a Service and a HorizontalPodAutoscaler, strict, and the ones that a sizing gives."""

from __future__ import annotations

from typing import Annotated, Literal

import yaml
from pydantic import Field, TypeAdapter

from tasks.deploy.autoscale import NAME, Sizing, check, dump
from tasks.deploy.kubernetes_container import Kube
from tasks.deploy.kubernetes_pods import LABELS, Deployment, Metadata, pods

NOTE = """\
# kubectl apply -f kubernetes.yaml. `image` is what `bentoml containerize stillroom:latest -t stillroom:latest` makes;
# put your registry's name before it. The autoscaler needs metrics-server in the cluster.
"""


class ServicePort(Kube):
    """Which port of the pod the address leads to."""

    name: str
    port: int
    target_port: str


class ServiceSpec(Kube):
    """Where traffic goes."""

    selector: dict[str, str]
    ports: tuple[ServicePort, ...]


class Service(Kube):
    """One address for all pods."""

    api_version: Literal["v1"] = "v1"
    kind: Literal["Service"] = "Service"
    metadata: Metadata
    spec: ServiceSpec


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


KubeDocument = Annotated[Deployment | Service | Autoscaler, Field(discriminator="kind")]
_documents: TypeAdapter[KubeDocument] = TypeAdapter(KubeDocument)


def kubernetes(sizing: Sizing) -> str:
    """A Deployment, a Service and a HorizontalPodAutoscaler, as YAML; PlanError for what Kubernetes does not take.

    Kubernetes' own autoscaler cannot go to zero: a `min_replicas` of 0 becomes 1 here.
    """
    check(sizing)
    metadata = Metadata(name=NAME, labels=LABELS)
    service = ServiceSpec(selector=LABELS, ports=(ServicePort(name="http", port=80, target_port="http"),))
    autoscaler = AutoscalerSpec(
        scale_target_ref=ScaleTarget(name=NAME),
        min_replicas=max(1, sizing.min_replicas),
        max_replicas=sizing.max_replicas,
        metrics=(Metric(resource=ResourceMetric(target=Target(average_utilization=sizing.target_cpu_percent))),),
        behavior=Behavior(
            scale_up=Window(stabilization_window_seconds=0),
            scale_down=Window(stabilization_window_seconds=sizing.scale_down_after_s),
        ),
    )
    documents: tuple[Kube, ...] = (
        Deployment(metadata=metadata, spec=pods(sizing)),
        Service(metadata=metadata, spec=service),
        Autoscaler(metadata=metadata, spec=autoscaler),
    )
    plain = (d.model_dump(mode="json", by_alias=True, exclude_none=True) for d in documents)
    return NOTE + "---\n".join(dump(d) for d in plain)


def read_kubernetes(text: str) -> tuple[KubeDocument, ...]:
    """Check the documents of a Kubernetes file; ValidationError names every key that is unknown or wrong."""
    return tuple(_documents.validate_python(document) for document in yaml.safe_load_all(text))
