"""The shapes of a Kubernetes container, strict: snake_case here, camelCase in the file."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from tasks.core.frozen import Frozen
from tasks.deploy.autoscale import Resources


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
