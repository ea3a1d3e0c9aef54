"""POST /wake: who may, MLflow's signature included, and that it changes nothing but the log."""

from __future__ import annotations

import base64
import hmac
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.testclient import TestClient

from serving.control.store import Store, open_store
from serving.keeper import wake
from serving.keeper.admin import Admin
from serving.keeper.audit import Audit
from serving.keeper.token import Tokens
from serving.keeper.wake import Wake

BODY = '{"entity": "model_version_alias", "action": "created"}'


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"sqlite:///{tmp_path / 'rollout.db'}", create=True)


def client(store: Store, tokens: Tokens) -> TestClient:
    return TestClient(Admin(store, tokens, (Wake(Audit(store), tokens).route,)).app)


def signed(secret: str, at_s: float, body: str = BODY) -> dict[str, str]:
    """The headers that MLflow sends."""
    at = str(int(at_s))
    digest = hmac.new(secret.encode(), f"d1.{at}.{body}".encode(), "sha256").digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"X-MLflow-Delivery-Id": "d1", "X-MLflow-Timestamp": at, "X-MLflow-Signature": signature}


def test_a_signature_that_mlflow_made_is_taken() -> None:
    at_s = 1795793083  # mlflow.webhooks.delivery of 3.17.2, with the secret `follows`, wrote:
    made = {**signed("", at_s), "X-MLflow-Signature": "v1,Tmrlfbjz6uRcImoe0qIoYuRu/7CLrYhngePs/BaCDX4="}
    headers = Headers(made)
    assert wake.signed(headers, BODY.encode(), "follows", at_s + 60.0)
    assert not wake.signed(headers, BODY.encode(), "follow", at_s + 60.0)


@pytest.mark.parametrize(
    ("headers", "status", "actor"),
    [
        ({"Authorization": "Bearer follows"}, 202, "follower"),
        ({"Authorization": "Bearer administers"}, 202, "admin"),
        ("follows", 202, "webhook"),
        ("other", 401, "unknown"),
        ("", 401, "unknown"),
        ({}, 401, "unknown"),
        ({"Authorization": "Bearer guess"}, 401, "unknown"),
    ],
)
def test_who_has_a_token_or_signs_with_it_wakes(store: Store, headers: Any, status: int, actor: str) -> None:
    sent = signed(headers, time.time()) if isinstance(headers, str) else headers
    answer = client(store, Tokens("administers", "follows")).post("/wake", content=BODY, headers=sent)
    assert answer.status_code == status, answer.text
    (event,) = store.events()
    assert (event.kind, event.actor) == ("wake" if status == 202 else "refused", actor)
    assert store.read() is None


def test_a_signature_covers_the_body_and_grows_old(store: Store) -> None:
    app = client(store, Tokens("administers", "follows"))
    fresh, old = signed("follows", time.time()), signed("follows", time.time() - wake.FRESH_S - 5)
    assert app.post("/wake", content=BODY + " ", headers=fresh).status_code == 401
    assert app.post("/wake", content=BODY, headers=old).status_code == 401


def test_without_any_token_nobody_wakes(store: Store) -> None:
    app = client(store, Tokens())
    assert app.post("/wake", content=BODY, headers=signed("", time.time())).status_code == 403
    assert app.get("/wake").status_code == 405


def test_who_asks_often_writes_once(store: Store) -> None:
    app = client(store, Tokens("administers", "follows"))
    for _ in range(20):
        assert app.post("/wake", headers={"Authorization": "Bearer follows"}).status_code == 202
    assert len(store.events()) <= 3
