"""What the keeper's port shows of the judge: JSON, and a text that Prometheus's own parser reads."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.testclient import TestClient

from serving.control.store import open_store
from serving.keeper import changes, face
from serving.keeper.admin import Admin
from serving.keeper.exposition import Exposition
from serving.keeper.loop import Judge
from serving.keeper.notify import Notifier
from serving.keeper.token import Tokens
from tests.unit.serving.keeper import traffic


def samples(client: TestClient) -> dict[tuple[str, ...], float]:
    text = client.get("/metrics").text
    return {
        (
            sample.name.removeprefix("stillroom_keeper_"),
            *(value for _, value in sorted(sample.labels.items(), reverse=True)),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_before_the_first_tick() -> None:
    exposition = Exposition()
    client = TestClient(Starlette(routes=list(face.routes(exposition))))
    assert client.get("/findings").json() == {"judged_s": 0, "state": None, "findings": [], "waits_for": []}
    assert samples(client) == {("judged_timestamp_seconds",): 0}


def test_findings_and_metrics_are_those_of_the_latest_tick(tmp_path: Path) -> None:
    package = traffic.package(tmp_path / "package", stages=[0.25, 0.5])
    store = open_store(f"sqlite:///{tmp_path / 'rollout.db'}", create=True)
    judge = Judge(store, package, Notifier({}))
    client = TestClient(Admin(store, Tokens(), face.routes(judge.exposition)).app)
    offer = changes.Offer(expected=0, package=str(package.folder), version="7")
    store.swap(changes.offered(offer, package, store.now_s()), 0)
    store.report("one", 1, traffic.tally(6000, shift=5))
    judge.tick()
    shown = client.get("/findings").json()
    assert [f["rule"] for f in shown["findings"]] == [f.rule for f in judge.findings]
    assert shown["findings"][0] == judge.findings[0].model_dump() and shown["state"]["generation"] == 1
    judge.tick()
    found = samples(client)
    assert (found["generation",], found["share",], found["stage",], found["mode", "rolling"]) == (2, 0.5, 1, 1)
    assert found["finding", "errors", "unclear"] == 1 and found["finding", "errors", "harm"] == 0
    assert found["finding_number", "errors", "limit"] == 0.01
    assert (found["decisions_total", "advance", "judge"], found["decisions_total", "alarm", "judge"]) == (1, 1)
    assert found["notices_total", "webhook", "sent"] == 0 and found["workers", "live"] == 0
    store.report("one", 2, traffic.tally(6000, shift=5))
    judge.tick()
    assert samples(client)["drift_psi", "input mean"] > 0.2 and samples(client)["drift_ks", "input mean"] > 0.1


def test_decisions_by_hand_are_counted_beside_the_judges(tmp_path: Path) -> None:
    package = traffic.package(tmp_path / "package", stages=[0.25, 0.5])
    store = open_store(f"sqlite:///{tmp_path / 'rollout.db'}", create=True)
    judge = Judge(store, package, Notifier({}))
    tokens = Tokens("correct horse", "battery staple")
    client = TestClient(Admin(store, tokens, face.routes(judge.exposition), judge.decisions).app)

    def by_hand(path: str, token: str = "correct horse", **body: object) -> int:
        return client.post(path, json=body, headers={"Authorization": f"Bearer {token}"}).status_code

    assert by_hand("/package", "battery staple", expected=0, package=str(package.folder), version="7") == 200
    judge.tick()
    zero = samples(client)
    assert zero["decisions_total", "package", "follower"] == 1
    assert zero["decisions_total", "rollback", "admin"] == zero["decisions_total", "rollback", "judge"] == 0
    assert by_hand("/rollback", expected=1, by="ada") == 200
    assert by_hand("/rollback", expected=1, by="ada") == 409, "refused, so nothing was decided"
    judge.tick()
    found = samples(client)
    assert (found["decisions_total", "rollback", "admin"], found["decisions_total", "rollback", "judge"]) == (1, 0)
    assert by_hand("/share", expected=2, share=0.5) == 200
    store.report("one", 3, traffic.tally(2000, errors=0.05))
    judge.tick()
    judge.tick()
    found = samples(client)
    assert (found["decisions_total", "rollback", "admin"], found["decisions_total", "rollback", "judge"]) == (1, 1)
    assert found["decisions_total", "share", "admin"] == 1
