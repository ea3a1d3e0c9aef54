"""The autoscaling files against schemas that are not ours: Kubernetes' own, and BentoCloud's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from pydantic import ValidationError

from tasks.core.errors import PlanError
from tasks.deploy.autoscale import Sizing
from tasks.deploy.bentocloud import bentocloud, read_bentocloud
from tasks.deploy.kubernetes import kubernetes, read_kubernetes

NUMBERS: dict[str, Any] = {
    "min_replicas": 2,
    "max_replicas": 6,
    "target_concurrency": 8,
    "target_cpu_percent": 65,
    "cpu": "500m",
    "memory": "1Gi",
    "scale_down_after_s": 120,
    "workers": 1,
    "timeout_s": 7.5,
    "concurrency": 32,
}


@pytest.fixture(autouse=True)
def bentoml_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "True")


def sizing(**other: Any) -> Sizing:
    return Sizing(**{**NUMBERS, **other})


def documents(**other: Any) -> dict[str, Any]:
    return {d["kind"]: d for d in yaml.safe_load_all(kubernetes(sizing(**other)))}


@pytest.mark.parametrize("version", ["1.28", "1.32"])
def test_kubernetes_takes_every_document_strictly(version: str) -> None:
    found = documents()
    assert set(found) == {"Deployment", "Service", "HorizontalPodAutoscaler"}
    for document in found.values():
        kubernetes_validate.validate(document, version, strict=True)


def test_the_numbers_of_the_rollout_arrive() -> None:
    found = documents()
    spec = found["HorizontalPodAutoscaler"]["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 6)
    assert spec["metrics"][0]["resource"]["target"]["averageUtilization"] == 65
    assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 120
    pod = found["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"] == {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["readinessProbe"]["httpGet"]["path"] == container["startupProbe"]["httpGet"]["path"] == "/readyz"
    (word, leave_s) = container["lifecycle"]["preStop"]["exec"]["command"]
    assert word == "sleep"
    assert pod["terminationGracePeriodSeconds"] > int(leave_s) + 7.5


def test_the_parts_find_each_other() -> None:
    found = documents()
    deployment = found["Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == found["Service"]["spec"]["selector"] == labels
    assert found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    ports = {port["name"] for port in deployment["spec"]["template"]["spec"]["containers"][0]["ports"]}
    assert {port["targetPort"] for port in found["Service"]["spec"]["ports"]} <= ports
    assert "replicas" not in deployment["spec"], "applying the file again would undo the autoscaler"


def test_kubernetes_cannot_go_to_zero_but_bentocloud_can() -> None:
    assert documents(min_replicas=0)["HorizontalPodAutoscaler"]["spec"]["minReplicas"] == 1
    assert read_bentocloud(bentocloud(sizing(min_replicas=0))).services["stillroom"].scaling.min_replicas == 0


def test_bentoml_reads_the_bentocloud_file_and_keeps_every_key() -> None:
    from bentoml._internal.cloud.schemas.schemasv2 import CreateDeploymentSchema
    from bentoml._internal.utils.cattr import bentoml_cattr

    plain = yaml.safe_load(bentocloud(sizing()))
    structured = bentoml_cattr.structure(plain, CreateDeploymentSchema)
    back = bentoml_cattr.unstructure(structured)
    assert (back["name"], back["bento"]) == ("stillroom", "stillroom:latest")
    service = back["services"]["stillroom"]
    assert service["scaling"] == plain["services"]["stillroom"]["scaling"]
    assert service["deployment_strategy"] == "RollingUpdate"
    assert service["config_overrides"] == plain["services"]["stillroom"]["config_overrides"]


def test_bentoml_takes_the_overrides_as_a_service_configuration() -> None:
    from _bentoml_sdk.service.config import validate

    overrides = yaml.safe_load(bentocloud(sizing()))["services"]["stillroom"]["config_overrides"]
    assert validate(overrides)["traffic"] == {"timeout": 7.5, "concurrency": 8, "max_concurrency": 32}


@pytest.mark.parametrize("key", ["terminationGracePeriodSeconds", "averageUtilization", "readinessProbe", "targetPort"])
def test_a_typo_in_the_kubernetes_file_is_an_error(key: str) -> None:
    text = kubernetes(sizing())
    assert read_kubernetes(text)
    with pytest.raises(ValidationError, match=f"{key}x"):
        read_kubernetes(text.replace(f"{key}:", f"{key}x:", 1))


@pytest.mark.parametrize("key", ["max_replicas", "max_concurrency", "scale_down_stabilization_window"])
def test_a_typo_in_the_bentocloud_file_is_an_error(key: str) -> None:
    text = bentocloud(sizing())
    with pytest.raises(ValidationError, match=f"{key}x"):
        read_bentocloud(text.replace(f"{key}:", f"{key}x:", 1))


def test_reading_back_loses_nothing() -> None:
    text = kubernetes(sizing())
    again = [d.model_dump(mode="json", by_alias=True, exclude_none=True) for d in read_kubernetes(text)]
    assert again == list(yaml.safe_load_all(text))


def test_a_wait_that_kubernetes_refuses_is_named() -> None:
    with pytest.raises(PlanError, match=r"scaling\.scale_down_after_s: 3601"):
        kubernetes(sizing(scale_down_after_s=3601))
    assert documents(scale_down_after_s=3600)


def test_same_numbers_same_bytes() -> None:
    assert kubernetes(sizing()) == kubernetes(sizing())
    assert bentocloud(sizing()) == bentocloud(sizing())
