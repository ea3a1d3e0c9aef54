"""A Kubernetes Deployment: its shape, strict, and the one that a sizing gives."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from tasks.core.contract import Frozen
from tasks.deploy.autoscale import NAME, Resources, Sizing

PORT = 3000  # where a bento's container listens
USER = 1034  # `bentoml` in its image; by number, since a name cannot be proved not to be root
LABELS = {"app.kubernetes.io/name": NAME}


class Kube(Frozen):
    """Base of the Kubernetes shapes: snake_case here, camelCase in the file."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)


class Metadata(Kube):
    """Name and labels."""

    name: str | None = None
    labels: dict[str, str]
    annotations: dict[str, str] | None = None


class HttpGet(Kube):
    """A path that answers 200 when all is well."""

    path: str
    port: str


class Probe(Kube):
    """When and how often Kubernetes asks."""

    http_get: HttpGet
    period_seconds: int
    timeout_seconds: int
    failure_threshold: int


class Port(Kube):
    """A port of the container."""

    name: str
    container_port: int


class Requirements(Kube):
    """Requests place the pod; the memory limit ends one that leaks. No CPU limit: throttling costs tail latency."""

    requests: Resources
    limits: Resources


class Security(Kube):
    """The least that the container needs."""

    run_as_non_root: bool
    run_as_user: int
    allow_privilege_escalation: bool


class Container(Kube):
    """The one container of a pod."""

    name: str
    image: str
    ports: tuple[Port, ...]
    resources: Requirements
    startup_probe: Probe
    liveness_probe: Probe
    readiness_probe: Probe
    security_context: Security


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
    container = Container(
        name=NAME,
        image=f"{NAME}:latest",
        ports=(Port(name="http", container_port=PORT),),
        resources=Requirements(
            requests=Resources(cpu=sizing.cpu, memory=sizing.memory),
            limits=Resources(memory=sizing.memory),
        ),
        startup_probe=_probe("/readyz", period_s=2, failures=60),
        liveness_probe=_probe("/livez", period_s=10, failures=3),
        readiness_probe=_probe("/readyz", period_s=5, failures=2),
        security_context=Security(run_as_non_root=True, run_as_user=USER, allow_privilege_escalation=False),
    )
    annotations = {"prometheus.io/scrape": "true", "prometheus.io/path": "/metrics", "prometheus.io/port": str(PORT)}
    return DeploymentSpec(
        selector=Selector(match_labels=LABELS),
        template=PodTemplate(
            metadata=Metadata(labels=LABELS, annotations=annotations),
            # Requests in hand may take up to the time limit; then a few seconds to close down.
            spec=PodSpec(termination_grace_period_seconds=math.ceil(sizing.timeout_s) + 5, containers=(container,)),
        ),
    )


def _probe(path: str, *, period_s: int, failures: int) -> Probe:
    get = HttpGet(path=path, port="http")
    return Probe(http_get=get, period_seconds=period_s, timeout_seconds=2, failure_threshold=failures)
