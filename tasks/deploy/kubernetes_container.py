"""The container of a Kubernetes pod: its shape, strict, and the one that a sizing gives."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from tasks.core.frozen import Frozen
from tasks.deploy.autoscale import NAME, Resources, Sizing

IMAGE = f"{NAME}:latest"
CONTROL, CONTROL_KEY = "STILLROOM_CONTROL", "control-url"  # serving/ reads the variable
PORT = 3000  # where a bento's container listens
USER = 1034  # `bentoml` in its image; by number, since a name cannot be proved not to be root
LEAVE_S = 5  # a pod that stops is still sent requests until every node knows; it goes on answering so long


class Kube(Frozen):
    """Base of the Kubernetes shapes: snake_case here, camelCase in the file."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)

    def plain(self) -> dict[str, Any]:
        """As it stands in the file."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


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


class SecretKey(Kube):
    """One value of a Secret; a pod does not start without it."""

    name: str
    key: str


class ValueFrom(Kube):
    """Where a value is."""

    secret_key_ref: SecretKey


class Variable(Kube):
    """One environment variable: its value, or where that is."""

    name: str
    value: str | None = None
    value_from: ValueFrom | None = None


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
    working_dir: str | None = None
    args: tuple[str, ...] | None = None
    env: tuple[Variable, ...]
    ports: tuple[Port, ...]
    resources: Requirements
    startup_probe: Probe
    liveness_probe: Probe
    readiness_probe: Probe
    lifecycle: Lifecycle | None = None
    security_context: Security


SECURITY = Security(
    run_as_non_root=True,
    run_as_user=USER,
    allow_privilege_escalation=False,
    capabilities=Capabilities(drop=("ALL",)),
    seccomp_profile=Seccomp(),
)
STARTUP_PERIOD_S = 2
STARTUP_S = 120  # at least; a busy node starts a pod many times slower than an idle one


def secret(variable: str, key: str) -> Variable:
    """An environment variable out of the Secret that all pods share."""
    return Variable(name=variable, value_from=ValueFrom(secret_key_ref=SecretKey(name=NAME, key=key)))


def container(sizing: Sizing) -> Container:
    """The container of a sizing, with the probes that BentoML answers."""
    limit = f"services.{NAME}.traffic.max_concurrency={sizing.concurrency}"
    tries = math.ceil(max(STARTUP_S, 10 * sizing.startup_s) / STARTUP_PERIOD_S)
    return Container(
        name=NAME,
        image=IMAGE,
        env=(secret(CONTROL, CONTROL_KEY), Variable(name="BENTOML_CONFIG_OPTIONS", value=limit)),
        ports=(Port(name="http", container_port=PORT),),
        resources=Requirements(
            requests=Resources(cpu=sizing.cpu, memory=sizing.memory),
            limits=Resources(memory=sizing.memory),
        ),
        startup_probe=probe("/readyz", period_s=STARTUP_PERIOD_S, failures=tries),
        liveness_probe=probe("/livez", period_s=10, failures=3),
        readiness_probe=probe("/readyz", period_s=5, failures=2),
        lifecycle=Lifecycle(pre_stop=Handler(exec=Exec(command=("sleep", str(LEAVE_S))))),
        security_context=SECURITY,
    )


def probe(path: str, *, period_s: int, failures: int, port: str = "http") -> Probe:
    """GET `path` every `period_s`; so many failures in a row are one too many."""
    get = HttpGet(path=path, port=port)
    return Probe(http_get=get, period_seconds=period_s, timeout_seconds=2, failure_threshold=failures)
