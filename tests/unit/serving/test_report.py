"""Reporting: nothing is lost or counted twice, over changes, returns and a store that is away."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serving import report
from serving.answer import Case, whole
from serving.control.state import State
from serving.control.store import Store, StoreError, open_store
from serving.engine import Engine
from serving.live import Live
from serving.package import read
from serving.predict import Predict
from serving.reference import Bins, Expected, Reference
from serving.report import Reporter
from serving.shadow import Shadow
from tests import made_package

SHARES = np.full((2, 3), 1 / 3)
ROW = State(generation=1, package="p", version="1", share=0.5, by="test")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(read(made_package.make(tmp_path_factory.mktemp("report") / "package")))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"sqlite:///{tmp_path / 'rollout.db'}", create=True)


def requests(store: Store, generation: int) -> int:
    return store.tallies(generation).control.requests


def test_sums_are_replaced_and_workers_add_up(engine: Engine, store: Store) -> None:
    live = Live.of(engine, ROW)
    one, other = Reporter(store, lambda: ""), Reporter(store, lambda: "trouble")
    for reporter in (one, other):
        reporter.track(live)
    other.track(Live.of(engine, ROW.next(by="a", reason="", since_s=0.0)))
    live.counts.answered("control", 0.001, SHARES)
    one.report()
    live.counts.answered("control", 0.001, SHARES)
    for _ in range(2):
        one.report()
    assert requests(store, 1) == 2
    other.report()
    assert requests(store, 1) == 4, "another worker's"
    found = {p.worker: p for p in store.presences()}
    assert (found[one.worker].generation, found[one.worker].error) == (1, "")
    assert (found[other.worker].generation, found[other.worker].error) == (2, "trouble")
    assert found[one.worker].package_sha256 == engine.package.manifest_sha256 and found[one.worker].rss_mb > 1


def test_answers_of_a_replaced_generation_still_count_to_it_for_a_while(
    engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [100.0]
    monkeypatch.setattr(report.time, "monotonic", lambda: now_s[0])
    first, reporter = Live.of(engine, ROW), Reporter(store, lambda: "")
    reporter.track(first)
    reporter.report()
    reporter.track(Live.of(engine, ROW.next(by="a", reason="", since_s=0.0)))
    first.counts.answered("control", 0.001, SHARES)
    reporter.report()
    assert (requests(store, 1), requests(store, 2)) == (1, 0)
    first.counts.answered("control", 0.001, SHARES)
    now_s[0] += report.LINGER_S + 1
    reporter.report()
    assert requests(store, 1) == 2 and len(reporter._parts) == 1


def test_a_generation_that_comes_back_does_not_replace_its_own_counts(engine: Engine, store: Store) -> None:
    reporter = Reporter(store, lambda: "")
    for _ in range(2):
        live = Live.of(engine, ROW)
        reporter.track(live)
        live.counts.answered("control", 0.001, SHARES)
        reporter.report()
    assert requests(store, 1) == 2


def test_a_store_that_is_away_loses_nothing(engine: Engine, store: Store, tmp_path: Path) -> None:
    reporter = Reporter(open_store(f"sqlite:///{tmp_path / 'rollout.db'}"), lambda: "")
    live = Live.of(engine, ROW)
    reporter.track(live)
    store.tallies(1)
    store.close()
    held = (tmp_path / "rollout.db").rename(tmp_path / "held.db")
    live.counts.answered("control", 0.001, SHARES)
    with pytest.raises(StoreError):
        reporter.report()
    held.rename(tmp_path / "rollout.db")
    reporter.report()
    assert requests(store, 1) == 1


def test_the_last_counts_are_sent_when_it_stops(engine: Engine, store: Store) -> None:
    store.tallies(1)
    reporter = Reporter(store, lambda: "")
    live = Live.of(engine, ROW)
    reporter.track(live)
    reporter.start()
    live.counts.answered("control", 0.001, SHARES)
    reporter.stop()
    assert requests(store, 1) == 1


def test_rows_are_counted_over_the_bins_of_the_reference(engine: Engine, store: Store) -> None:
    bins = Bins(edges=(100.0,), counts=(1, 1))
    of_each = {"control": {}, "treatment": {}}
    reference = Reference(
        rows=2,
        extremes=(0.0, 255.0),
        features={"mean": bins},
        predicted=of_each,
        confidence={role: (0,) * 20 for role in of_each},
        disagreement=Expected(rows=2, count=0, high=0.5),
    )
    live = Live.of(Engine(replace(engine.package, reference=reference)), ROW)
    reporter = Reporter(store, lambda: "")
    reporter.track(live)
    pixels = np.array([10, 20, 200], np.uint8).reshape(3, 1, 1, 1)
    body = {"inputs": np.broadcast_to(pixels, (3, 1, 8, 8)).tolist()}
    case = Case(live, Predict(), {}, json.dumps(body).encode(), None, time.perf_counter())
    whole(case, Shadow(engine.package.rollout.shadow))
    reporter.report()
    reporter.report()
    assert store.tallies(1).inputs == {"mean": (2, 1)}
