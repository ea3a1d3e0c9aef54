"""The figures of the rollout at a glance, against definitions of their own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from serving.control.state import Event, Presence, State
from serving.control.store import Store, StoreError, open_store
from serving.control.tally import ShadowTally, Tally, VariantTally
from serving.keeper import status
from serving.metrics import SECONDS

ROW = State(generation=1, package="p", version="3", share=0.1, stage=1, mode="rolling", by="keeper", reason="began")


@given(st.lists(st.floats(1e-5, 9.9), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_lies_in_the_bin_of_the_true_one(seconds: list[float], q: float) -> None:
    edges = np.array([0, *SECONDS])
    counts = np.zeros(len(SECONDS) + 1, int)
    for one in seconds:
        counts[np.searchsorted(SECONDS, one)] += 1
    found = status.quantile_ms(counts.tolist(), q)
    assert found is not None
    true = float(np.quantile(seconds, q, method="inverted_cdf"))
    i = int(np.searchsorted(SECONDS, true))
    assert 1000 * edges[i] <= found <= 1000 * edges[i + 1] * (1 + 1e-9)


def test_no_answers_have_no_quantile_and_slow_ones_the_last_bound() -> None:
    assert status.quantile_ms([0] * (len(SECONDS) + 1), 0.5) is None
    assert status.quantile_ms([0] * len(SECONDS) + [3], 0.5) == 1000 * SECONDS[-1]


def test_what_was_never_counted_is_null_and_not_zero() -> None:
    found = status.of_variant(VariantTally())
    assert (found.p95_ms, found.confidence, found.accuracy) == (None, None, None)
    assert status.of_shadow(ShadowTally()).agreement is None


def test_shares_are_of_what_was_counted() -> None:
    confidence = (0,) * 19 + (4,)
    found = status.of_variant(VariantTally(requests=4, rows=4, confidence=confidence, right=3, wrong=1))
    assert found.confidence == pytest.approx(0.975)
    assert (found.labelled, found.accuracy) == (4, 0.75)
    shadow = status.of_shadow(ShadowTally(compared=10, agreed=9, kl_sum=0.5, flips={"cat": 1}))
    assert (shadow.agreement, shadow.kl_nats) == (0.9, 0.05)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = open_store(f"sqlite:///{tmp_path / 'rollout.db'}", create=True)
    assert opened.swap(ROW, 0)
    opened.report("w1", 1, Tally(control=VariantTally(requests=5, rows=5), cache_hits=1, cache_misses=3))
    opened.report("w2", 1, Tally(control=VariantTally(requests=2, rows=2)))
    opened.present(Presence(worker="w1", generation=1, package_sha256="a" * 64, rss_mb=90))
    opened.present(Presence(worker="w2", generation=0, package_sha256="a" * 64, error="generation 1: broken"))
    for kind in ("boot", "advance"):
        opened.append(Event(actor="keeper", kind=kind, generation=1, reason=f"because {kind}"))
    return opened


def test_it_adds_up_workers_and_says_who_follows(store: Store) -> None:
    found = status.status(store, (0.01, 0.1))
    assert found.state == ROW
    assert found.control.requests == 7
    assert found.cache_hit_rate == 0.25
    assert {w.worker: (w.follows, w.away) for w in found.workers} == {"w1": (True, False), "w2": (False, False)}
    assert [event.kind for event in found.events] == ["advance", "boot"]


def test_a_worker_that_was_not_seen_is_away() -> None:
    presence = Presence(worker="w", generation=1, package_sha256="a" * 64, seen_s=100)
    assert not status.of_worker(presence, 100 + status.AWAY_S, 1).away
    assert status.of_worker(presence, 101 + status.AWAY_S, 1).away


def client(store: Any, findings: tuple[Any, ...] = ()) -> TestClient:
    return TestClient(Starlette(routes=list(status.routes(store, (0.01, 0.1), lambda: findings))))


def test_the_endpoints_answer(store: Store) -> None:
    finding = {"rule": "p95", "outcome": "within", "sentence": "fine", "numbers": {}}
    with client(store, (finding,)) as http:
        found = http.get("/status.json").json()
        assert (found["stages"], found["findings"]) == ([0.01, 0.1], [finding])
        page = http.get("/")
        assert page.status_code == 200 and "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_a_store_that_is_away_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> float:
        raise StoreError("sqlite:///x: away")

    monkeypatch.setattr(store, "now_s", away)
    with client(store) as http:
        answer = http.get("/status.json")
    assert (answer.status_code, answer.json()) == (503, {"error": "sqlite:///x: away"})
