"""The container of a Kubernetes pod: its shape, strict, and the one that a sizing gives."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from tasks.core.frozen import Frozen
from tasks.deploy.autoscale import NAME, Resources, Sizing

PORT = 3000  # where a bento's container listens
USER = 1034  # `bentoml` in its image; by number, since a name cannot be proved not to be root
LEAVE_S = 5  # a pod that stops is still sent requests until every node knows; it goes on answering so long


class Kube(Frozen):
    """Base of the Kubernetes shapes: snake_case here, camelCase in the file."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)


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


class Capabilities(Kube):
    """What root could do, taken away."""

    drop: tuple[str, ...]


class Seccomp(Kube):
    """Which system calls are let through."""

    type: Literal["RuntimeDefault"] = "RuntimeDefault"


class Security(Kube):
    """The least that the container needs; a namespace with the `restricted` pod security standard takes it."""

    run_as_non_root: bool
    run_as_user: int
    allow_privilege_escalation: bool
    capabilities: Capabilities
    seccomp_profile: Seccomp


class Exec(Kube):
    """A command in the container."""

    command: tuple[str, ...]


class Handler(Kube):
    """What to do at a point of the container's life."""

    exec: Exec


class Lifecycle(Kube):
    """Before it is told to stop."""

    pre_stop: Handler


class Container(Kube):
    """The one container of a pod."""

    name: str
    image: str
    ports: tuple[Port, ...]
    resources: Requirements
    startup_probe: Probe
    liveness_probe: Probe
    readiness_probe: Probe
    lifecycle: Lifecycle
    security_context: Security


def container(sizing: Sizing) -> Container:
    """The container of a sizing, with the probes that BentoML answers."""
    return Container(
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
        lifecycle=Lifecycle(pre_stop=Handler(exec=Exec(command=("sleep", str(LEAVE_S))))),
        security_context=Security(
            run_as_non_root=True,
            run_as_user=USER,
            allow_privilege_escalation=False,
            capabilities=Capabilities(drop=("ALL",)),
            seccomp_profile=Seccomp(),
        ),
    )


def _probe(path: str, *, period_s: int, failures: int) -> Probe:
    get = HttpGet(path=path, port="http")
    return Probe(http_get=get, period_seconds=period_s, timeout_seconds=2, failure_threshold=failures)
