"""The service in process, over a package made by hand: what it answers, to whom, and how it refuses."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from serving.cache import Cache
from tests import made_package

pytestmark = pytest.mark.integration
RAW = {"Content-Type": "application/octet-stream"}
IMAGES = np.random.default_rng(5).integers(0, 256, (3, 1, 8, 8), dtype=np.uint8)


def started(folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """serving.service, imported anew over the package in `folder`."""
    # BentoML gives no answer to GET /metrics unless this folder is there before prometheus_client is imported.
    (home / "metrics").mkdir(parents=True)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(home / "metrics"))
    monkeypatch.setenv("BENTOML_HOME", str(home))
    monkeypatch.setenv("STILLROOM_PACKAGE", str(folder))
    monkeypatch.setenv("STILLROOM_TICKET_KEY", "a key that nobody guesses")
    sys.modules.pop("serving.service", None)
    return importlib.import_module("serving.service")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    root = tmp_path_factory.mktemp("service")
    with pytest.MonkeyPatch.context() as patch:
        limits = {"rows": 4, "body_bytes": 20_000, "timeout_s": 3.0, "concurrency": 1}
        yield started(
            made_package.make(root / "package", limits=limits, shadow={"share": 0.1, "queue": 64}), root / "home", patch
        )


@pytest.fixture(scope="module")
def client(service: Any) -> Iterator[TestClient]:
    # One app a process: BentoML registers its metrics anew with each.
    with TestClient(service.Stillroom.to_asgi(), raise_server_exceptions=False) as c:
        yield c


def ask(client: TestClient, user: str | None = None, **headers: str) -> Any:
    body: dict[str, Any] = {"inputs": IMAGES.tolist()}
    if user is not None:
        body["user_id"] = user
    return client.post("/predict", json=body, headers=headers)


def count(name: str, **labels: str) -> float:
    from prometheus_client import REGISTRY

    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize("role", ["control", "treatment"])
def test_each_role_answers_with_its_own_model(client: TestClient, role: str) -> None:
    answer = ask(client, **{"X-Stillroom-Variant": role})
    assert (answer.status_code, answer.headers["X-Stillroom-Variant"]) == (200, role)
    got = answer.json()
    assert answer.headers["X-Stillroom-Model"] == got["model"]
    assert answer.headers["X-Stillroom-Generation"] == "0", "no control row, so none is followed"
    assert (got["variant"], got["model"]) == (role, {"control": "baseline", "treatment": "student_int8"}[role])
    wanted = made_package.expected(role, IMAGES)
    assert np.allclose(got["probabilities"], wanted, atol=1e-5)
    assert got["labels"] == [made_package.LABELS[i] for i in wanted.argmax(1)]


@pytest.mark.parametrize("role", ["control", "treatment"])
def test_raw_rows_are_answered_as_json_is(client: TestClient, role: str) -> None:
    headers = {**RAW, "X-Stillroom-Variant": role}
    answer = client.post("/predict", content=IMAGES.tobytes(), headers=headers)
    assert (answer.status_code, answer.headers["X-Stillroom-Variant"]) == (200, role)
    assert answer.json() == ask(client, **{"X-Stillroom-Variant": role}).json()


def test_users_are_the_same_by_header_and_by_body(client: TestClient) -> None:
    for user in (f"u{i}" for i in range(20)):
        by_header = client.post("/predict", content=IMAGES.tobytes(), headers={**RAW, "X-Stillroom-User": user})
        assert by_header.json() == ask(client, user).json()


def test_bentoml_is_passed_by_and_counts_what_it_sees(service: Any, client: TestClient) -> None:
    def seen(endpoint: str) -> float:
        from prometheus_client import REGISTRY

        every = [sample for metric in REGISTRY.collect() for sample in metric.samples]
        name = "bentoml_service_request_total"
        return sum(one.value for one in every if one.name == name and one.labels["endpoint"] == endpoint)

    client.get("/info")
    before = seen("/info"), seen("/predict"), count("stillroom_requests_total", variant="control", status="200")
    assert ask(client).status_code == client.get("/info").status_code == 200
    after = seen("/info"), seen("/predict"), count("stillroom_requests_total", variant="control", status="200")
    assert (before[1], after[1]) == (0, 0)
    assert (after[0] - before[0], after[2] - before[2]) == (1, 1)


@pytest.mark.parametrize("quick", [False, True])
def test_a_quick_network_runs_on_the_loop_and_a_slow_one_in_a_thread(
    service: Any, client: TestClient, monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    engine, names = service.WEB.live.engine, []
    infer = engine.infer

    def noted(*given: Any) -> Any:
        names.append(threading.current_thread().name)
        return infer(*given)

    monkeypatch.setattr(engine, "infer", noted)
    monkeypatch.setattr(engine.pace, "quick", lambda *_: quick)
    assert ask(client).status_code == 200
    assert names[0].startswith("answer") is not quick


def test_what_comes_again_is_answered_from_what_was_kept_and_counts_all_the_same(
    service: Any, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def now() -> tuple[float, ...]:
        tally = service.WEB.live.counts.tally()
        seen = (count("stillroom_cache_lookups_total", outcome=outcome) for outcome in ("hit", "miss"))
        network = count("stillroom_stage_duration_seconds_count", variant="treatment", stage="network")
        return (tally.cache_hits, tally.cache_misses, *seen, network, tally.treatment.requests, tally.treatment.rows)

    headers = {"X-Stillroom-Variant": "treatment"}
    assert "X-Stillroom-Cache" not in ask(client, **headers).headers, "there is none unless it is asked for"
    monkeypatch.setattr(service.WEB.live.engine, "cache", Cache(8))
    offered: list[int] = []
    monkeypatch.setattr(service.WEB.shadow, "offer", lambda *given: offered.append(len(given[2])))
    before = now()
    answers = [ask(client, **headers), ask(client, **headers), ask(client, **headers)]
    raw = client.post("/predict", content=IMAGES.tobytes(), headers={**RAW, **headers})
    assert [one.headers["X-Stillroom-Cache"] for one in (*answers, raw)] == ["miss", "hit", "hit", "hit"]
    assert answers[0].json() == answers[1].json() == raw.json()
    assert [b - a for a, b in zip(before, now(), strict=True)] == [3, 1, 3, 1, 1, 4, 12]
    assert offered == [3, 3, 3, 3], "the shadow sees the traffic as it is"
    assert ask(client, **{"X-Stillroom-Variant": "control"}).headers["X-Stillroom-Cache"] == "miss"


def test_users_are_split_and_stay(client: TestClient) -> None:
    first = {f"u{i}": ask(client, f"u{i}").json()["variant"] for i in range(60)}
    assert set(first.values()) == {"control", "treatment"}
    assert {user: ask(client, user).json()["variant"] for user in first} == first


def test_no_user_is_the_control(client: TestClient) -> None:
    assert {ask(client).json()["variant"] for _ in range(5)} == {"control"}


def test_answers_and_refusals_are_counted(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.metrics.ONE_IN", 1)

    def now() -> tuple[float, ...]:
        return (
            count("stillroom_requests_total", variant="treatment", status="200"),
            count("stillroom_rows_total", variant="treatment"),
            count("stillroom_request_duration_seconds_count", variant="treatment"),
            *(
                count("stillroom_stage_duration_seconds_count", variant="treatment", stage=stage)
                for stage in ("wait", "decode", "network", "encode")
            ),
            count("stillroom_requests_total", variant="none", status="422"),
        )

    before = now()
    ask(client, **{"X-Stillroom-Variant": "treatment"})
    client.post("/predict", json={"inputs": []})
    assert [b - a for a, b in zip(before, now(), strict=True)] == [1, 3, 1, 1, 1, 1, 1, 1]


def test_a_share_of_the_treatments_answers_is_compared_and_a_fault_there_reaches_nobody(
    service: Any, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows() -> float:
        return sum(count("stillroom_shadow_rows_total", outcome=o) for o in ("agreed", "disagreed", "failed"))

    monkeypatch.setattr(service.WEB.shadow, "_share", 1.0)
    for fault in (False, True):
        with monkeypatch.context() as patch:
            if fault:
                patch.setattr("serving.shadow.compare", lambda *_: 1 / 0)
            before, failed = rows(), count("stillroom_shadow_rows_total", outcome="failed")
            assert ask(client, **{"X-Stillroom-Variant": "treatment"}).status_code == 200
            end = time.monotonic() + 20
            while rows() < before + 3:
                assert time.monotonic() < end
                time.sleep(0.01)
            assert count("stillroom_shadow_rows_total", outcome="failed") - failed == (3 if fault else 0)
    ask(client, **{"X-Stillroom-Variant": "control"})
    assert rows() == before + 3, "the control is not compared with itself"


@pytest.mark.parametrize(
    ("given", "status", "fault"),
    [
        ({"json": {"inputs": [[1, 2]]}}, 422, "inputs[0]: shape (2,); allowed: (1, 8, 8) or (8, 8)"),
        ({"json": {"inputs": IMAGES.tolist() * 2}}, 422, "inputs: has 6 rows; allowed: 1 to 4"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "body: not JSON"),
        ({"content": b""}, 400, "body: empty"),
        ({"data": {"inputs": "1"}}, 415, "Content-Type: application/x-www-form-urlencoded"),
        ({"json": {}, "headers": {"X-Stillroom-Variant": "both"}}, 422, "X-Stillroom-Variant: 'both'; allowed:"),
        ({"content": b"x", "headers": RAW}, 422, "body: 1 bytes; allowed: whole rows of 64 bytes"),
        ({"content": b" " * 20_001}, 413, "body: 20001 bytes; allowed: 20000"),
        ({"content": iter([b" " * 15_000] * 2)}, 413, "body: more than 20000 bytes"),
    ],
)
def test_a_mistake_of_the_client_is_a_4xx_that_names_it(
    client: TestClient, given: dict[str, Any], status: int, fault: str
) -> None:
    answer = client.post("/predict", **given)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(fault)


def test_another_verb_and_another_path(client: TestClient) -> None:
    wrong_verb, nowhere = client.get("/predict"), client.get("/nothing")
    assert (wrong_verb.status_code, wrong_verb.headers["Allow"]) == (405, "POST")
    assert wrong_verb.json() == {"error": "GET /predict: Method Not Allowed; allowed: POST"}
    assert nowhere.status_code == 404


def test_nothing_of_the_administrator_is_on_the_public_port(client: TestClient) -> None:
    for path in ("/share", "/rollback", "/hold", "/resume", "/package", "/state", "/workers", "/events"):
        assert client.post(path, json={"expected": 0, "share": 1.0}).status_code == 404
        assert client.get(path).status_code == 404


def test_probes_and_metrics_answer(client: TestClient) -> None:
    assert client.get("/livez").status_code == client.get("/readyz").status_code == 200
    assert client.get("/metrics").status_code == 200


def test_info_says_who_is_who(client: TestClient) -> None:
    info = client.get("/info").json()
    assert info["models"]["control"]["model"] == "baseline"
    assert len(info["models"]["treatment"]["sha256"]) == 64
    assert (info["treatment_share"], info["limits"]["rows"]) == (0.5, 4)
    assert client.post("/predict", json=info["example"]).status_code == 200


def test_the_page_needs_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http://" not in page.text and "https://" not in page.text and "src=" not in page.text


def test_the_openapi_document_tells_the_truth(client: TestClient) -> None:
    import jsonschema

    document = client.get("/docs.json").json()
    predict = document["paths"]["/predict"]["post"]
    answer = predict["responses"]["200"]["content"]["application/json"]["schema"]
    body = predict["requestBody"]["content"]["application/json"]
    jsonschema.validate(ask(client, "u1").json(), answer)
    jsonschema.validate({"inputs": IMAGES.tolist(), "user_id": "u1"}, body["schema"])
    for wrong in ({}, {"inputs": []}, {"inputs": [[1]]}, {"inputs": IMAGES.tolist(), "user": "u1"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, body["schema"])


def test_a_fault_of_ours_is_a_500_at_once_and_is_counted(
    service: Any, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.WEB.live.engine, "infer", lambda *_: 1 / 0)
    before = count("stillroom_requests_total", variant="control", status="500")
    answer = ask(client)
    assert (answer.status_code, answer.json()) == (500, {"error": "the service failed; its log says why"})
    assert count("stillroom_requests_total", variant="control", status="500") == before + 1


def test_too_many_at_once_and_too_slow(
    service: Any, client: TestClient, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    release, entered = threading.Event(), threading.Event()
    request.addfinalizer(release.set)

    def slow(*_: object) -> Any:
        entered.set()
        release.wait(60)
        return np.full((3, 3), 1 / 3)

    monkeypatch.setattr(service.WEB.live.engine, "infer", slow)
    monkeypatch.setattr(service.WEB.live.engine.pace, "quick", lambda *_: False)
    errors = service.WEB.live.counts.tally().control.errors
    first: list[Any] = []
    asking = threading.Thread(target=lambda: first.append(ask(client)))
    asking.start()
    assert entered.wait(10)
    refused = ask(client)
    assert (refused.status_code, refused.json()) == (429, {"error": "requests at once: 1; allowed: 1"})
    assert client.get("/livez").status_code == 200, "probes answer while a network works"
    asking.join(30)
    assert (first[0].status_code, first[0].json()) == (504, {"error": "no answer within 3 seconds"})
    before = service.WEB.live.counts.tally().control
    release.set()
    time.sleep(0.2)
    assert service.WEB.live.counts.tally().control == before, "counted as an error once, not as an answer as well"
    assert before.errors == errors + 1


def test_a_package_that_changed_stops_the_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made_package.make(tmp_path / "package")
    with (folder / "treatment.onnx").open("ab") as model:
        model.write(b"\0")
    with pytest.raises(SystemExit, match=r"stillroom: .*treatment\.onnx: changed since it was packaged"):
        started(folder, tmp_path / "home", monkeypatch)


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("treatment.onnx", b"garbage", r"treatment\.onnx: ONNX Runtime cannot load it"),
        ("treatment.onnx", made_package.linear(np.zeros((64, 5), np.float32)), r"gives 5 classes; labels\.json has 3"),
    ],
)
def test_a_sealed_model_that_does_not_fit_is_named(tmp_path: Path, name: str, content: bytes, fault: str) -> None:
    from serving.engine import Engine
    from serving.package import PackageError, read

    folder = made_package.make(tmp_path / "package")
    (folder / name).write_bytes(content)
    made_package.seal(folder)
    with pytest.raises(PackageError, match=fault):
        Engine(read(folder))
