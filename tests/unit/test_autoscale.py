"""The autoscaling files against schemas that are not ours: Kubernetes' own, and BentoCloud's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from pydantic import ValidationError

from serving.ticket import ENVIRONMENT as TICKETS
from tasks.core.errors import PlanError
from tasks.deploy.autoscale import Sizing
from tasks.deploy.bentocloud import bentocloud, read_bentocloud
from tasks.deploy.files import WRITERS, write_autoscaling
from tasks.deploy.hpa import hpa, read_hpa
from tasks.deploy.keda import keda, read_keda
from tasks.deploy.keeper import keeper
from tasks.deploy.kubernetes import kubernetes, read_kubernetes
from tests.unit.keda_schema import SCALED_OBJECT

NUMBERS: dict[str, Any] = {
    "origin": "made up",
    "min_replicas": 2,
    "max_replicas": 6,
    "target_concurrency": 8,
    "target_in_flight": 5.6,
    "target_requests_per_s": 123.4567,
    "target_cpu_percent": 65,
    "cpu": "500m",
    "memory": "1Gi",
    "scale_down_after_s": 120,
    "startup_s": 3.5,
    "workers": 1,
    "timeout_s": 7.5,
    "concurrency": 32,
    "prometheus": "http://prometheus:9090",
}
READERS = {
    "bentocloud": read_bentocloud,
    "kubernetes": read_kubernetes,
    "hpa": read_hpa,
    "keda": read_keda,
    "keeper": read_kubernetes,
}


@pytest.fixture(autouse=True)
def bentoml_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "True")


def sizing(**other: Any) -> Sizing:
    return Sizing(**{**NUMBERS, **other})


def documents(**other: Any) -> dict[str, Any]:
    text = kubernetes(sizing(**other)) + "---\n" + hpa(sizing(**other))
    return {d["kind"]: d for d in yaml.safe_load_all(text)}


def judge() -> dict[str, Any]:
    return {d["kind"]: d for d in yaml.safe_load_all(keeper(sizing()))}


@pytest.mark.parametrize("version", ["1.28", "1.32"])
def test_kubernetes_takes_every_document_strictly(version: str) -> None:
    found = documents()
    assert set(found) == {"Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"}
    for document in (*found.values(), *judge().values()):
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
    variables = {v["name"]: v for v in container["env"]}
    assert variables["BENTOML_CONFIG_OPTIONS"]["value"] == "services.stillroom.traffic.max_concurrency=32"
    assert variables["STILLROOM_CONTROL"]["valueFrom"]["secretKeyRef"] == {"name": "stillroom", "key": "control-url"}
    key = variables[TICKETS]["valueFrom"]["secretKeyRef"]
    assert key == {"name": "stillroom", "key": "ticket-key"}, "no /feedback without it"
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["readinessProbe"]["httpGet"]["path"] == container["startupProbe"]["httpGet"]["path"] == "/readyz"
    (word, leave_s) = container["lifecycle"]["preStop"]["exec"]["command"]
    assert word == "sleep"
    assert pod["terminationGracePeriodSeconds"] > int(leave_s) + 7.5


def test_the_note_makes_every_key_of_the_secret_that_a_pod_reads() -> None:
    note = kubernetes(sizing()).partition("---")[0]
    for deployment in (documents()["Deployment"], judge()["Deployment"]):
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        keys = [v["valueFrom"]["secretKeyRef"]["key"] for v in container["env"] if "valueFrom" in v]
        assert len(keys) == 2 and all(f"--from-literal={key}=" in note for key in keys)
    assert TICKETS in bentocloud(sizing())


def test_the_parts_find_each_other() -> None:
    found = documents()
    deployment = found["Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == found["Service"]["spec"]["selector"] == labels
    assert found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    ports = {port["name"] for port in deployment["spec"]["template"]["spec"]["containers"][0]["ports"]}
    assert {port["targetPort"] for port in found["Service"]["spec"]["ports"]} <= ports
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    (spread,) = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"] == labels
    assert "replicas" not in deployment["spec"], "applying the file again would undo the autoscaler"


def test_a_slow_start_is_waited_for() -> None:
    def patience_s(startup_s: float) -> int:
        (container,) = documents(startup_s=startup_s)["Deployment"]["spec"]["template"]["spec"]["containers"]
        probe = container["startupProbe"]
        return int(probe["periodSeconds"] * probe["failureThreshold"])

    assert (patience_s(3.0), patience_s(40.0)) == (120, 400)


def test_exactly_one_keeper_with_the_control_plane_of_the_pods() -> None:
    found, pods = judge(), documents()["Deployment"]
    spec = found["Deployment"]["spec"]
    assert spec["replicas"] == 1 and spec["strategy"] == {"type": "Recreate"}
    (container,) = spec["template"]["spec"]["containers"]
    assert container["args"][:3] == ["python", "-m", "serving.keeper"]
    (served,) = pods["spec"]["template"]["spec"]["containers"]
    assert container["env"][0] == served["env"][0], "one control plane"
    assert container["image"] == served["image"]
    assert found["Service"]["spec"]["selector"] == spec["selector"]["matchLabels"]
    assert spec["selector"]["matchLabels"] != pods["spec"]["selector"]["matchLabels"], "no traffic to the keeper"


def scaled_object(**other: Any) -> Any:
    return yaml.safe_load(keda(sizing(**other)))


def test_keda_takes_the_scaled_object() -> None:
    jsonschema.validate(scaled_object(), SCALED_OBJECT)
    broken = scaled_object()
    broken["spec"]["triggers"][0]["metadata"]["threshold"] = 5.6
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, SCALED_OBJECT)


def test_keda_scales_the_deployment_on_both_triggers() -> None:
    spec = scaled_object()["spec"]
    assert spec["scaleTargetRef"]["name"] == documents()["Deployment"]["metadata"]["name"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"], spec["fallback"]["replicas"]) == (2, 6, 6)
    made = spec["advanced"]["horizontalPodAutoscalerConfig"]
    assert made["behavior"] == documents()["HorizontalPodAutoscaler"]["spec"]["behavior"]
    assert [t["metadata"]["threshold"] for t in spec["triggers"]] == ["123.457", "5.600"]
    assert all(t["metricType"] == "AverageValue" for t in spec["triggers"])
    assert all(isinstance(v, str) for t in spec["triggers"] for v in t["metadata"].values())
    assert [t["name"] for t in scaled_object(target_requests_per_s=None)["spec"]["triggers"]] == ["in-flight"]
    assert scaled_object(min_replicas=0)["spec"]["minReplicaCount"] == 1


@pytest.mark.parametrize("key", ["serverAddress", "threshold", "pollingInterval", "failureThreshold", "metricType"])
def test_a_typo_in_the_scaled_object_is_an_error(key: str) -> None:
    text = keda(sizing())
    with pytest.raises(ValidationError, match=f"{key}x"):
        read_keda(text.replace(f"{key}:", f"{key}x:", 1))


def test_a_number_among_keda_s_metadata_is_an_error() -> None:
    with pytest.raises(ValidationError, match="threshold"):
        read_keda(keda(sizing()).replace("'5.600'", "5.6"))
    with pytest.raises(ValidationError, match="ignoreNullValues"):
        read_keda(keda(sizing()).replace("'false'", "false", 1))


@pytest.mark.parametrize("name", WRITERS)
def test_every_file_says_where_its_figures_are_from_and_reads_back(name: str) -> None:
    text = WRITERS[name](sizing())
    assert "\n# made up\n" in text
    assert max(map(len, text.splitlines())) <= 160
    read = READERS[name](text)
    found = read if isinstance(read, tuple) else (read,)
    again = [d.model_dump(mode="json", by_alias=True, exclude_none=True) for d in found]
    assert again == list(yaml.safe_load_all(text))
    assert WRITERS[name](sizing()) == text


def test_all_files_or_none(tmp_path: Path) -> None:
    with pytest.raises(PlanError):
        write_autoscaling(tmp_path / "autoscale", sizing(scale_down_after_s=3601))
    assert not (tmp_path / "autoscale").exists()
    write_autoscaling(tmp_path / "autoscale", sizing())
    assert {p.name for p in (tmp_path / "autoscale").iterdir()} == {f"{name}.yaml" for name in WRITERS}


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


@pytest.mark.parametrize("key", ["terminationGracePeriodSeconds", "maxUnavailable", "readinessProbe", "targetPort"])
def test_a_typo_in_the_kubernetes_file_is_an_error(key: str) -> None:
    text = kubernetes(sizing())
    assert read_kubernetes(text)
    with pytest.raises(ValidationError, match=f"{key}x"):
        read_kubernetes(text.replace(f"{key}:", f"{key}x:", 1))


@pytest.mark.parametrize("key", ["averageUtilization", "stabilizationWindowSeconds", "minReplicas"])
def test_a_typo_in_the_autoscaler_is_an_error(key: str) -> None:
    text = hpa(sizing())
    with pytest.raises(ValidationError, match=f"{key}x"):
        read_hpa(text.replace(f"{key}:", f"{key}x:", 1))


@pytest.mark.parametrize("key", ["max_replicas", "max_concurrency", "scale_down_stabilization_window"])
def test_a_typo_in_the_bentocloud_file_is_an_error(key: str) -> None:
    text = bentocloud(sizing())
    with pytest.raises(ValidationError, match=f"{key}x"):
        read_bentocloud(text.replace(f"{key}:", f"{key}x:", 1))


def test_a_wait_that_kubernetes_refuses_is_named() -> None:
    with pytest.raises(PlanError, match=r"scaling\.scale_down_after_s: 3601"):
        hpa(sizing(scale_down_after_s=3601))
    assert documents(scale_down_after_s=3600)
