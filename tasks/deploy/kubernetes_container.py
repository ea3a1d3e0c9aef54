"""The container of a Kubernetes pod that a sizing gives."""

from __future__ import annotations

import math

from tasks.deploy.autoscale import NAME, Resources, Sizing
from tasks.deploy.kubernetes_shapes import (
    Capabilities,
    Container,
    Exec,
    Handler,
    HttpGet,
    Lifecycle,
    Port,
    Probe,
    Requirements,
    Seccomp,
    SecretKey,
    Security,
    ValueFrom,
    Variable,
)

IMAGE = f"{NAME}:latest"
CONTROL, CONTROL_KEY = "STILLROOM_CONTROL", "control-url"  # serving/ reads the variable
TICKETS, TICKET_KEY = (
    "STILLROOM_TICKET_KEY",
    "ticket-key",
)  # without it: no tickets, no labels
PORT = 3000  # where a bento's container listens
USER = 1034  # `bentoml` in its image; by number, since a name cannot be proved not to be root
LEAVE_S = 5  # a pod that stops is still sent requests until every node knows; it goes on answering so long
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
        env=(
            secret(CONTROL, CONTROL_KEY),
            secret(TICKETS, TICKET_KEY),
            Variable(name="BENTOML_CONFIG_OPTIONS", value=limit),
        ),
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
