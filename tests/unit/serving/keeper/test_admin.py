"""The admin API: who may change the row, what is refused and how, and that all of it is written down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from serving.control.state import Presence, State
from serving.control.store import Store, open_store
from serving.keeper import audit
from serving.keeper.admin import Admin
from serving.keeper.token import Tokens
from tests import made_package

TOKEN = {"Authorization": "Bearer correct horse"}
FOLLOWER = {"Authorization": "Bearer battery staple"}
ROW = State(generation=1, package="/p", version="3", share=0.1, stage=0, mode="rolling", by="test")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"sqlite:///{tmp_path / 'rollout.db'}", create=True)


@pytest.fixture
def client(store: Store) -> TestClient:
    return TestClient(Admin(store, Tokens("correct horse", "battery staple")).app, raise_server_exceptions=False)


def post(client: TestClient, path: str, headers: dict[str, str] | None = None, **body: Any) -> Any:
    return client.post(path, json=body, headers=TOKEN if headers is None else headers)


def row(store: Store) -> State:
    found = store.read()
    assert found is not None
    return found


def test_reads_need_no_token(client: TestClient, store: Store) -> None:
    assert client.get("/state").json()["state"] is None
    store.swap(ROW, 0)
    store.present(Presence(worker="w1", generation=1, package_sha256="ab"))
    assert client.get("/state").json()["state"] == ROW.model_dump()
    (worker,) = client.get("/workers").json()
    assert worker["worker"] == "w1" and 0 <= worker["age_s"] < 60
    assert client.get("/events").json() == []
    assert client.get("/healthz").json() == {"alive": True, "store": "there"}


def test_each_change_is_one_generation_on_and_is_written_down(client: TestClient, store: Store) -> None:
    store.swap(ROW, 0)
    steps: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("/hold", {}, {"mode": "held", "share": 0.1, "stage": 0}),
        ("/resume", {}, {"mode": "rolling", "share": 0.1, "stage": 0}),
        ("/share", {"share": 0.4}, {"mode": "settled", "share": 0.4, "stage": -1}),
        ("/hold", {}, {"mode": "held", "share": 0.4}),
        ("/resume", {}, {"mode": "settled", "share": 0.4}),
        ("/rollback", {"reason": "complaints", "by": "ada"}, {"mode": "rolled_back", "share": 0.0, "stage": -1}),
    ]
    for generation, (path, body, wanted) in enumerate(steps, 2):
        answer = post(client, path, expected=generation - 1, **body)
        assert answer.status_code == 200, answer.text
        assert answer.json() == row(store).model_dump()
        assert row(store).generation == generation
        assert {key: row(store).model_dump()[key] for key in wanted} == wanted
    assert (row(store).by, row(store).reason, row(store).package) == ("ada", "complaints", "/p")
    assert row(store).since_s == pytest.approx(store.now_s(), abs=60)
    events = client.get("/events").json()
    assert [e["kind"] for e in events] == ["hold", "resume", "share", "hold", "resume", "rollback"]
    assert (events[-1]["actor"], events[-1]["generation"], events[-1]["reason"]) == ("admin", 7, "ada: complaints")
    assert events[2]["numbers"]["share"] == 0.4
    assert [e["id"] for e in client.get("/events?after=2&limit=2").json()] == [e["id"] for e in events[2:4]]


def test_a_package_is_checked_pinned_and_begins_at_its_first_stage(
    client: TestClient, store: Store, tmp_path: Path
) -> None:
    folder = made_package.make(tmp_path / "package", stages=[0.05, 0.5])
    assert post(client, "/package", expected=0, package=str(folder), version="7").status_code == 200
    first = row(store)
    assert (first.generation, first.version, first.share, first.stage, first.mode) == (1, "7", 0.05, 0, "rolling")
    assert len(first.package_sha256) == 64
    post(client, "/package", expected=1, package=str(folder), version="7", share=0.3)
    assert (row(store).share, row(store).stage, row(store).mode) == (0.3, -1, "settled")
    plain = made_package.make(tmp_path / "plain", stages=[], treatment_share=0.25)
    post(client, "/package", expected=2, package=str(plain), version="8")
    assert (row(store).share, row(store).mode) == (0.25, "settled")


@pytest.mark.parametrize("path", ["/package", "relative/package", "/nowhere"])
def test_a_package_that_cannot_be_served_is_refused(
    client: TestClient, store: Store, tmp_path: Path, path: str
) -> None:
    folder = made_package.make(tmp_path / "package")
    (folder / "treatment.onnx").write_bytes(b"changed")
    path = str(folder) if path == "/package" else path
    answer = post(client, "/package", expected=0, package=path, version="7")
    assert answer.status_code == 422 and answer.json()["error"].startswith("package: ")
    assert store.read() is None


def test_an_offer_replaces_a_broken_row(client: TestClient, store: Store, tmp_path: Path) -> None:
    import sqlite3

    store.swap(ROW, 0)
    with sqlite3.connect(tmp_path / "rollout.db") as raw:
        raw.execute("update stillroom_state set share = 7")
    assert post(client, "/rollback", expected=1).status_code == 503
    folder = made_package.make(tmp_path / "package")
    assert post(client, "/package", expected=1, package=str(folder), version="7").status_code == 200
    assert row(store).generation == 2


def test_only_the_expected_row_is_replaced_and_the_answer_says_which_there_is(client: TestClient, store: Store) -> None:
    assert post(client, "/share", expected=0, share=0.5).json()["state"] is None
    store.swap(ROW, 0)
    late = post(client, "/share", expected=7, share=0.5)
    assert (late.status_code, late.json()["state"]) == (409, ROW.model_dump())
    assert late.json()["error"] == "expected: 7; the row is generation 1, by test; look at it and ask again"
    assert post(client, "/resume", expected=1).json()["error"].startswith("generation 1 is rolling, not held")
    assert row(store) == ROW


@pytest.mark.parametrize("path", ["/share", "/rollback", "/hold", "/resume", "/package"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer guess"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": "Basic correct horse"}, 401),
        ({"Authorization": "correct horse"}, 401),
        ({"Authorization": "Bearer correct horse2"}, 401),
    ],
)
def test_no_change_without_the_token(
    client: TestClient, store: Store, path: str, headers: dict[str, str], status: int
) -> None:
    store.swap(ROW, 0)
    answer = post(client, path, headers, expected=1, share=0.5, package="/p", version="1")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (status, "Bearer")
    assert row(store) == ROW
    (event,) = store.events()
    assert (event.kind, event.actor) == ("refused", "unknown") and f"POST {path} from" in event.reason
    secrets = ("correct horse", "battery staple", "guess")
    assert not any(secret in json.dumps(event.model_dump()) for secret in secrets)


def test_a_keeper_without_a_token_changes_nothing_and_says_why(store: Store) -> None:
    store.swap(ROW, 0)
    client = TestClient(Admin(store, Tokens()).app)
    for headers in ({}, {"Authorization": "Bearer "}, TOKEN):
        answer = post(client, "/rollback", headers, expected=1)
        assert answer.status_code == 403 and "STILLROOM_ADMIN_TOKEN was not set" in answer.json()["error"]
    assert row(store) == ROW


def test_the_follower_may_offer_packages_and_nothing_else(client: TestClient, store: Store, tmp_path: Path) -> None:
    folder = made_package.make(tmp_path / "package")
    answer = post(client, "/package", FOLLOWER, expected=0, package=str(folder), version="7", by="follower")
    assert answer.status_code == 200 and store.events()[0].actor == "follower"
    for path in ("/share", "/rollback", "/hold", "/resume"):
        assert post(client, path, FOLLOWER, expected=1, share=1.0).status_code == 401


@pytest.mark.parametrize(
    ("given", "status", "fault"),
    [
        ({"content": b"{"}, 400, "body: not JSON"),
        ({"content": b"[]"}, 422, "body: "),
        ({"json": {"expected": 1}}, 422, "body: share: Field required"),
        ({"json": {"expected": 1, "share": 2}}, 422, "body: share: Input should be less than or equal to 1, found '2'"),
        ({"json": {"expected": 1, "share": 0.1, "shares": 1}}, 422, "body: shares: Extra inputs are not permitted"),
        ({"json": {"expected": -1, "share": 0.1}}, 422, "body: expected"),
        ({"json": {"expected": 1, "share": 0.1, "by": "a\nb"}}, 422, "body: by"),
        ({"content": b" " * 20_000}, 413, "body: 20000 bytes; allowed: 16384"),
        ({"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415, "Content-Type"),
    ],
)
def test_a_mistake_is_a_4xx_that_names_it(
    client: TestClient, store: Store, given: dict[str, Any], status: int, fault: str
) -> None:
    store.swap(ROW, 0)
    given = {**given, "headers": {"Content-Type": "application/json", **given.get("headers", {}), **TOKEN}}
    answer = client.post("/share", **given)
    assert answer.status_code == status and answer.json()["error"].startswith(fault), answer.text
    assert row(store) == ROW


def test_a_wrong_verb_and_a_wrong_query(client: TestClient) -> None:
    assert client.get("/share").status_code == 405
    assert client.get("/events?after=x").status_code == 422


def test_a_store_that_is_away_is_a_503_and_no_reason_to_restart(
    client: TestClient, store: Store, tmp_path: Path
) -> None:
    store.swap(ROW, 0)
    store.close()
    (tmp_path / "rollout.db").unlink()
    for answer in (client.get("/state"), client.get("/workers"), post(client, "/rollback", expected=1)):
        assert answer.status_code == 503 and "rollout.db" in answer.json()["error"]
    assert post(client, "/rollback", {}, expected=1).status_code == 401
    assert client.get("/healthz").json() == {"alive": True, "store": "away"}


def test_guessing_tokens_does_not_fill_the_log(
    client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    minute = [1]
    monkeypatch.setattr(audit, "REFUSALS_A_MINUTE", 3)
    monkeypatch.setattr(audit.time, "monotonic", lambda: minute[0] * 60.0)
    for _ in range(10):
        assert post(client, "/rollback", {}, expected=1).status_code == 401
    assert len(store.events()) == 3
    minute[0] = 2
    post(client, "/rollback", {}, expected=1)
    assert store.events()[-1].numbers == {"left_out": 7.0}


def test_a_log_that_cannot_be_written_does_not_stop_a_rollback(
    client: TestClient, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import sqlite3

    store.swap(ROW, 0)
    with sqlite3.connect(tmp_path / "rollout.db") as raw:
        raw.execute("drop table stillroom_events")
    assert post(client, "/rollback", expected=1, reason="now").status_code == 200
    assert row(store).mode == "rolled_back" and "not written" in caplog.text and "now" in caplog.text
