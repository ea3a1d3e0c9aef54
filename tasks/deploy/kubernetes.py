"""kubernetes.yaml: a Deployment, a Service and a PodDisruptionBudget, strict, and the ones that a sizing gives.

Who scales the Deployment stands in a file of its own: hpa.py or keda.py.
"""

from __future__ import annotations

from typing import Annotated, Literal

import yaml
from pydantic import Field, TypeAdapter

from tasks.deploy.autoscale import NAME, Sizing, check, comment, dump
from tasks.deploy.kubernetes_container import CONTROL_KEY, TICKET_KEY
from tasks.deploy.kubernetes_pods import LABELS, Deployment, Metadata, Selector, pods
from tasks.deploy.kubernetes_shapes import Kube

NOTE = (
    "kubectl apply -f kubernetes.yaml, then hpa.yaml or keda.yaml, which sets the number of pods, and keeper.yaml.",
    "`image` is what `bentoml containerize stillroom:latest -t stillroom:latest` makes; put your registry before it.",
    "First a Secret with the control plane's URL, PostgreSQL or Redis; an empty one serves the package's own split.",
    "The image can speak to the kind that `control.url` in params/rollout.yaml named when it was packaged.",
    f"kubectl create secret generic {NAME} --from-literal={CONTROL_KEY}=redis://... --from-literal=admin-token=... \\",
    f'  --from-literal={TICKET_KEY}="$(openssl rand -hex 32)"',
    "The ticket key, one for all pods, seals the tickets that labels come back with; an empty one: no /feedback.",
)


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


class DisruptionSpec(Kube):
    """How many pods a drain of nodes may take away at once; one that is broken anyway may always go."""

    max_unavailable: Annotated[int, Field(ge=1)]
    unhealthy_pod_eviction_policy: Literal["AlwaysAllow", "IfHealthyBudget"]
    selector: Selector


class DisruptionBudget(Kube):
    """The PodDisruptionBudget. By `maxUnavailable`: a `minAvailable` of 1 blocks every drain where one pod is all."""

    api_version: Literal["policy/v1"] = "policy/v1"
    kind: Literal["PodDisruptionBudget"] = "PodDisruptionBudget"
    metadata: Metadata
    spec: DisruptionSpec


KubeDocument = Annotated[Deployment | Service | DisruptionBudget, Field(discriminator="kind")]
_documents: TypeAdapter[KubeDocument] = TypeAdapter(KubeDocument)


def kubernetes(sizing: Sizing) -> str:
    """kubernetes.yaml; PlanError for what Kubernetes does not take."""
    check(sizing)
    metadata = Metadata(name=NAME, labels=LABELS)
    budget = DisruptionSpec(
        max_unavailable=1, unhealthy_pod_eviction_policy="AlwaysAllow", selector=Selector(match_labels=LABELS)
    )
    return file(
        (*NOTE, sizing.origin),
        Deployment(metadata=metadata, spec=pods(sizing)),
        Service(metadata=metadata, spec=ServiceSpec(selector=LABELS, ports=(port("http", 80),))),
        DisruptionBudget(metadata=metadata, spec=budget),
    )


def port(name: str, number: int) -> ServicePort:
    """An address's port, to the pod's port of that name."""
    return ServicePort(name=name, port=number, target_port=name)


def file(note: tuple[str, ...], *documents: Kube) -> str:
    """Several documents as one YAML file, under a comment."""
    return comment(*note) + "---\n".join(dump(document.plain()) for document in documents)


def read_kubernetes(text: str) -> tuple[KubeDocument, ...]:
    """Check the documents of such a file; ValidationError names every key that is unknown or wrong."""
    return tuple(_documents.validate_python(document) for document in yaml.safe_load_all(text))
