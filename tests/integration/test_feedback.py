"""Labels on their way through the service: from an answer's ticket to the variant that gave it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from serving.control.store import StoreError
from serving.engine import Engine
from serving.live import Live
from serving.package import read
from serving.web import Web
from tests import made_package
from tests.integration.test_service import IMAGES

pytestmark = pytest.mark.integration


@pytest.fixture
def web(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Web:
    monkeypatch.setenv("STILLROOM_TICKET_KEY", "a key that nobody guesses")
    package = read(made_package.make(tmp_path / "package"))
    web = Web(package.rollout)
    web.serve(Live.of(Engine(package)))
    return web


@pytest.fixture
def client(web: Web) -> Iterator[TestClient]:
    with TestClient(web.app) as http:
        yield http


def answered(client: TestClient, role: str) -> Any:
    answer = client.post("/predict", json={"inputs": IMAGES.tolist()}, headers={"X-Stillroom-Variant": role})
    assert answer.status_code == 200
    return answer


@pytest.mark.parametrize("role", ["control", "treatment"])
def test_labels_are_counted_for_who_answered(web: Web, client: TestClient, role: str) -> None:
    answer = answered(client, role)
    given = answer.json()["labels"]
    wrong = next(label for label in made_package.LABELS if label != given[1])
    sent = {"ticket": answer.headers["X-Stillroom-Ticket"], "labels": [given[0], wrong, None]}
    told = client.post("/feedback", json=sent)
    assert (told.status_code, told.json()) == (200, {"counted": 2, "right": 1, "why": ""})
    tally = web.live.counts.tally()
    counted = {"control": tally.control, "treatment": tally.treatment}
    assert (counted[role].right, counted[role].wrong) == (1, 1)
    assert sum(each.right + each.wrong for each in counted.values()) == 2
    again = client.post("/feedback", json=sent)
    assert again.status_code == 409 and "counts once" in again.json()["error"]


def test_a_ticket_of_somebody_else_is_refused(client: TestClient) -> None:
    refused = client.post("/feedback", json={"ticket": "AAAA", "labels": ["a"]})
    assert refused.status_code == 422 and "X-Stillroom-Ticket" in refused.json()["error"]


def test_a_store_that_is_away_counts_nothing_and_says_so(web: Web, client: TestClient) -> None:
    def away(_: str) -> bool:
        raise StoreError("postgresql://host/db: away")

    web.first_time = away
    answer = answered(client, "control")
    sent = {"ticket": answer.headers["X-Stillroom-Ticket"], "labels": answer.json()["labels"]}
    told = client.post("/feedback", json=sent)
    assert told.status_code == 503 and "send it again" in told.json()["error"]
    assert web.live.counts.tally().control.right == 0


def test_without_a_key_there_are_no_tickets_and_no_feedback(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STILLROOM_TICKET_KEY", raising=False)
    package = read(made_package.make(tmp_path / "package"))
    web = Web(package.rollout)
    web.serve(Live.of(Engine(package)))
    with TestClient(web.app) as http:
        assert "X-Stillroom-Ticket" not in answered(http, "control").headers
        assert http.post("/feedback", json={"ticket": "x", "labels": []}).status_code == 403
