"""keeper.yaml: the one process that judges the rollout, as a Deployment of exactly one pod.

Its own Deployment and not a sidecar: a sidecar would be there once a replica. One pod, replaced and never doubled;
should two meet all the same, the control plane's compare-and-set lets one of them move the row.
"""

from __future__ import annotations

from tasks.deploy.autoscale import NAME, Resources, Sizing
from tasks.deploy.kubernetes import Service, ServiceSpec, file, port
from tasks.deploy.kubernetes_container import CONTROL, CONTROL_KEY, IMAGE, SECURITY, probe, secret
from tasks.deploy.kubernetes_pods import (
    Deployment,
    DeploymentSpec,
    Metadata,
    PodSpec,
    PodTemplate,
    Selector,
    Strategy,
    scraped,
)
from tasks.deploy.kubernetes_shapes import Container, Port, Requirements

NOTE = (
    "kubectl apply -f keeper.yaml: judges the treatment on live evidence, moves its share, rolls it back.",
    "It needs the Secret that kubernetes.yaml names, with a control-url that all pods reach: PostgreSQL or Redis.",
    "Its page and its admin API are on port 3001, in the cluster alone: kubectl port-forward svc/stillroom-keeper 3001",
)
KEEPER = f"{NAME}-keeper"
LABELS = {"app.kubernetes.io/name": KEEPER}
PORT = 3001
SOURCE = "/home/bentoml/bento/src"  # where a bento's container holds serving/
RESOURCES = Resources(cpu="100m", memory="512Mi")


def keeper(sizing: Sizing) -> str:
    """The keeper's Deployment and Service, as YAML."""
    metadata = Metadata(name=KEEPER, labels=LABELS)
    container = Container(
        name="keeper",
        image=IMAGE,
        working_dir=SOURCE,
        args=("python", "-m", "serving.keeper", "--host", "0.0.0.0", "--port", str(PORT)),
        env=(secret(CONTROL, CONTROL_KEY), secret("STILLROOM_ADMIN_TOKEN", "admin-token")),
        ports=(Port(name="admin", container_port=PORT),),
        resources=Requirements(requests=RESOURCES, limits=Resources(memory=RESOURCES.memory)),
        startup_probe=probe("/healthz", period_s=2, failures=60, port="admin"),
        liveness_probe=probe("/healthz", period_s=10, failures=3, port="admin"),
        readiness_probe=probe("/healthz", period_s=5, failures=2, port="admin"),
        security_context=SECURITY,
    )
    template = PodTemplate(
        metadata=Metadata(labels=LABELS, annotations=scraped(PORT)),
        spec=PodSpec(termination_grace_period_seconds=30, containers=(container,)),
    )
    spec = DeploymentSpec(
        replicas=1, strategy=Strategy(type="Recreate"), selector=Selector(match_labels=LABELS), template=template
    )
    return file(
        (*NOTE, sizing.origin),
        Deployment(metadata=metadata, spec=spec),
        Service(metadata=metadata, spec=ServiceSpec(selector=LABELS, ports=(port("admin", PORT),))),
    )
