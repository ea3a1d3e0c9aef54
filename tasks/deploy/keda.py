"""A KEDA ScaledObject: its shape, strict, and the one that a sizing gives.

Two triggers on Prometheus, of which the larger wish counts. *Requests a second* grow in proportion to the load and go
on growing when a replica is full, for refusals are counted too. *Requests in flight* grow out of proportion as a
replica fills up: alone they make the number of replicas swing (simulated in tests), beside the first they catch
what it cannot see, requests that have become heavier than those that were measured.
"""

from __future__ import annotations

from typing import Annotated, Literal

import yaml
from pydantic import Field

from tasks.deploy.autoscale import NAME, Sizing, check, comment, dump
from tasks.deploy.hpa import Behavior, ScaleTarget, behavior
from tasks.deploy.kubernetes_pods import LABELS, Metadata
from tasks.deploy.kubernetes_shapes import Kube

NOTE = (
    "kubectl apply -f keda.yaml, after kubernetes.yaml. It or hpa.yaml, not both: each would undo the other.",
    "It needs KEDA, and a Prometheus that scrapes the pods (they are annotated for it); set `serverAddress` to yours.",
    "Where that Prometheus sees more than one such deployment, add a label that tells yours apart to both queries.",
    "`threshold` is for one replica: the autoscaler divides by how many there are.",
)
SYNC_S = 15  # how often the autoscaler that KEDA makes asks; Prometheus should scrape as often
REQUESTS = "sum(rate(stillroom_requests_total[1m]))"
# The mean of the sum, not the sum of means: a pod that has left must not be counted for another minute.
IN_FLIGHT = f"avg_over_time(sum(stillroom_requests_in_flight)[1m:{SYNC_S}s])"

Number = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?$")]


class Prometheus(Kube):
    """The trigger's own settings; KEDA takes nothing but text here, numbers and booleans too."""

    server_address: Annotated[str, Field(pattern=r"^https?://")]
    query: Annotated[str, Field(min_length=1)]
    threshold: Number
    ignore_null_values: Literal["true", "false"]


class Trigger(Kube):
    """One metric."""

    type: Literal["prometheus"] = "prometheus"
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    metric_type: Literal["AverageValue"] = "AverageValue"
    metadata: Prometheus


class Fallback(Kube):
    """What to do when Prometheus has not answered so many times in a row."""

    failure_threshold: Annotated[int, Field(ge=1)]
    replicas: Annotated[int, Field(ge=0)]


class AutoscalerConfig(Kube):
    """The HorizontalPodAutoscaler that KEDA makes."""

    name: str
    behavior: Behavior


class Advanced(Kube):
    """How KEDA makes it, and whether it puts the old number back when the ScaledObject goes."""

    restore_to_original_replica_count: bool
    horizontal_pod_autoscaler_config: AutoscalerConfig


class ScaledObjectSpec(Kube):
    """What is scaled, between what, and by what."""

    scale_target_ref: ScaleTarget
    polling_interval: Annotated[int, Field(ge=1)]
    min_replica_count: Annotated[int, Field(ge=1)]
    max_replica_count: Annotated[int, Field(ge=1)]
    fallback: Fallback
    advanced: Advanced
    triggers: Annotated[tuple[Trigger, ...], Field(min_length=1)]


class ScaledObject(Kube):
    """KEDA's description of one autoscaler."""

    api_version: Literal["keda.sh/v1alpha1"] = "keda.sh/v1alpha1"
    kind: Literal["ScaledObject"] = "ScaledObject"
    metadata: Metadata
    spec: ScaledObjectSpec


def keda(sizing: Sizing) -> str:
    """A ScaledObject, as YAML; PlanError for what Kubernetes does not take.

    Requests that no pod is there to count cannot wake one: a `min_replicas` of 0 becomes 1 here. When Prometheus is
    away, all `max_replicas` run: who cannot see the load must be ready for it.
    """
    check(sizing)
    triggers = [_trigger("in-flight", IN_FLIGHT, sizing.target_in_flight, sizing)]
    if sizing.target_requests_per_s is not None:
        triggers.insert(0, _trigger("requests-per-second", REQUESTS, sizing.target_requests_per_s, sizing))
    spec = ScaledObjectSpec(
        scale_target_ref=ScaleTarget(name=NAME),
        polling_interval=SYNC_S,
        min_replica_count=max(1, sizing.min_replicas),
        max_replica_count=sizing.max_replicas,
        fallback=Fallback(failure_threshold=4, replicas=sizing.max_replicas),
        advanced=Advanced(
            restore_to_original_replica_count=False,
            horizontal_pod_autoscaler_config=AutoscalerConfig(name=NAME, behavior=behavior(sizing)),
        ),
        triggers=tuple(triggers),
    )
    document = ScaledObject(metadata=Metadata(name=NAME, labels=LABELS), spec=spec)
    return comment(*NOTE, sizing.origin) + dump(document.plain())


def read_keda(text: str) -> ScaledObject:
    """Check such a file; ValidationError names every key that is unknown or wrong."""
    return ScaledObject.model_validate(yaml.safe_load(text))


def _trigger(name: str, query: str, threshold: float, sizing: Sizing) -> Trigger:
    # Nothing found is no load of zero: it is a Prometheus that does not scrape, and the fallback's business.
    about = Prometheus(
        server_address=sizing.prometheus, query=query, threshold=f"{threshold:.3f}", ignore_null_values="false"
    )
    return Trigger(name=name, metadata=about)
