"""docs/kubernetes/work-pool.json: Prefect takes it, and a job made of it is one that Kubernetes takes."""

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun
from prefect.utilities.templating import apply_values, find_placeholders

TEMPLATE = json.loads((Path(__file__).parents[2] / "docs/kubernetes/work-pool.json").read_text(encoding="utf-8"))
FROM_WORKER = {  # what Prefect's Kubernetes worker fills in for a flow run
    "command": ["prefect", "flow-run", "execute"],
    "env": [{"name": "PREFECT_API_URL", "value": "http://prefect:4200/api"}],
    "name": "build-row",
}


def job(**given: Any) -> dict[str, Any]:
    """The job manifest with the template's defaults and what is given."""
    properties = TEMPLATE["variables"]["properties"]
    defaults = {name: about["default"] for name, about in properties.items() if about.get("default") is not None}
    values = {**defaults, **FROM_WORKER, **given}
    found: dict[str, Any] = apply_values(TEMPLATE["job_configuration"]["job_manifest"], values, remove_notset=True)
    return found


def test_prefect_takes_the_template() -> None:
    made = WorkPoolCreate(name="cluster", type="kubernetes", base_job_template=TEMPLATE)
    assert made.base_job_template == TEMPLATE


def test_every_variable_is_used_and_every_place_has_its_variable() -> None:
    places = {place.name for place in find_placeholders(TEMPLATE["job_configuration"])}
    assert places == set(TEMPLATE["variables"]["properties"])


@pytest.mark.parametrize(
    "given", [{}, {"image": "registry.example.org/stillroom:abc", "service_account_name": "builder"}]
)
def test_kubernetes_takes_a_job_made_of_it(given: dict[str, str]) -> None:
    manifest = job(**given)
    kubernetes_validate.validate(manifest, "1.33", strict=True)
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    assert container["image"] == given.get("image", "stillroom:latest")
    assert manifest["spec"]["backoffLimit"] == 0, "a lost stage is ordered anew by the driver, not by Kubernetes"


def test_prefects_kubernetes_worker_makes_a_job_of_it_that_kubernetes_takes() -> None:
    from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

    given = {"image": "registry.example.org/stillroom:abc", "env": {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}}
    made = KubernetesWorkerJobConfiguration.from_template_and_values(TEMPLATE, given, client=object())
    configuration = asyncio.run(made)
    configuration.prepare_for_flow_run(FlowRun(id=uuid.uuid4(), flow_id=uuid.uuid4(), name="build@row"))
    kubernetes_validate.validate(configuration.job_manifest, "1.33", strict=True)
    (container,) = configuration.job_manifest["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["prefect", "flow-run", "execute"]
    assert {"name": "PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "value": "30"} in container["env"]
    assert configuration.pod_watch_timeout_seconds == 900


def test_a_job_with_a_slip_is_not_taken() -> None:
    manifest = job()
    manifest["spec"]["template"]["spec"]["containers"][0]["imagePolicy"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, "1.33", strict=True)
