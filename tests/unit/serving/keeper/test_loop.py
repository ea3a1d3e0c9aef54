"""The judge at work on a real store with made-up counts: stages, rollback, alarms, and every trouble around it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from serving.control.state import Event, Presence, State
from serving.control.store import Store, StoreError, open_store
from serving.control.tally import Tally
from serving.keeper import changes, loop
from serving.keeper.loop import Judge
from serving.keeper.notify import Notice, Notifier
from serving.package import Package
from serving.shapes import Notify
from tests.unit.serving.keeper import traffic

GOOD = traffic.tally(6000)


class Told(Notifier):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__({})
        self.notices: list[Notice] = []

    def tell(self, settings: Notify, notice: Notice) -> None:
        self.notices.append(notice)


class Bench:
    """A store, a judge on it, and workers that report."""

    def __init__(self, folder: Path, package: Package) -> None:
        self.package, self.file = package, folder / "rollout.db"
        self.store: Store = open_store(f"sqlite:///{self.file}", create=True)
        self.told = Told()
        self.judge = Judge(self.store, package, self.told)

    def offer(self, **values: Any) -> State:
        row = changes.offered(
            changes.Offer(expected=0, by="test", package=str(self.package.folder), version="7"), self.package, 0.0
        ).model_copy(update={"since_s": self.store.now_s(), **values})
        assert self.store.swap(row, row.generation - 1)
        return row

    def count(self, tally: Tally, worker: str = "one") -> None:
        self.store.report(worker, self.row.generation, tally)

    def anew(self) -> None:
        """The same row in a further generation."""
        self.store.swap(self.row.next(by="test", reason="", since_s=self.store.now_s()), self.row.generation)

    @property
    def row(self) -> State:
        found = self.store.read()
        assert found is not None
        return found

    def events(self, kind: str) -> list[Event]:
        return [event for event in self.store.events() if event.kind == kind]

    def outcomes(self) -> dict[str, str]:
        return {finding.rule: finding.outcome for finding in self.judge.findings}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return traffic.package(tmp_path_factory.mktemp("loop") / "package")


@pytest.fixture
def bench(tmp_path: Path, package: Package) -> Bench:
    return Bench(tmp_path, package)


def test_without_a_row_there_is_nothing_to_judge(bench: Bench) -> None:
    bench.judge.tick()
    assert bench.judge.findings == () and bench.store.events() == ()


def test_good_traffic_goes_up_by_stages_and_settles(bench: Bench) -> None:
    bench.offer()
    shares = [bench.row.share]
    while bench.row.mode == "rolling":
        bench.judge.tick()
        assert bench.row.share == shares[-1], "no evidence, no advance"
        bench.count(GOOD)
        bench.judge.tick()
        shares.append(bench.row.share)
    assert shares == [0.01, 0.1, 0.5, 0.9, 0.9] and (bench.row.mode, bench.row.stage) == ("settled", 3)
    events = bench.events("advance")
    assert [event.numbers["share"] for event in events] == shares[1:]
    assert {event.actor for event in events} == {loop.BY}
    assert events[0].numbers["errors.rows"] == 3000 and events[0].numbers["disagreement.limit"] == pytest.approx(0.03)
    assert len(json.dumps(events[0].numbers)) < 3000, "MLflow shows a tag of 4000 characters whole, reason included"
    assert events[0].reason.startswith("judge: p95: answers that took over 100 ms: 0 % (0 % to ")
    assert [notice.event for notice in bench.told.notices] == ["stillroom.advance"] * 4
    assert bench.told.notices[-1].row == bench.row and "the last stage" in bench.told.notices[-1].text


@pytest.mark.parametrize("mode", ["rolling", "held", "settled"])
def test_planted_harm_is_taken_back_by_itself(bench: Bench, mode: str) -> None:
    stage = -1 if mode == "settled" else 0
    bench.offer(mode=mode, share=0.5, stage=stage)
    bench.count(traffic.tally(2000, errors=0.05))
    bench.judge.tick()
    assert (bench.row.share, bench.row.mode, bench.row.by, bench.row.generation) == (0.0, "rolled_back", "judge", 2)
    (event,) = bench.events("rollback")
    assert event.generation == 2 and event.numbers["errors.count"] == 50 and "errors: requests" in event.reason
    (notice,) = bench.told.notices
    assert notice.event == "stillroom.rollback" and notice.numbers["errors.count"] == 50
    for _ in range(3):
        bench.judge.tick()
    assert bench.row.generation == 2, "what is back stays back"


def test_a_hold_by_hand_stops_advances(bench: Bench) -> None:
    bench.offer(mode="held")
    bench.count(GOOD)
    bench.judge.tick()
    assert bench.row.generation == 1 and bench.outcomes()["errors"] == "within"


def test_counts_begin_anew_with_every_generation(bench: Bench) -> None:
    bench.offer()
    bench.count(GOOD)
    bench.judge.tick()
    bench.store.report("late", 1, traffic.tally(5000, errors=0.5))  # what was in flight counts to its own generation
    bench.judge.tick()
    assert bench.row.generation == 2 and set(bench.outcomes().values()) <= {"unclear", "within"}
    assert bench.outcomes()["errors"] == "unclear"


def test_a_dead_workers_counts_stay_and_a_new_ones_add_up(bench: Bench) -> None:
    bench.offer()
    half = traffic.tally(1200)
    bench.count(half, "killed")
    bench.judge.tick()
    assert bench.row.generation == 1
    bench.count(half, "respawned")
    bench.judge.tick()
    assert bench.row.generation == 2 and bench.events("advance")[0].numbers["errors.rows"] == 1200


def test_a_new_keeper_has_the_evidence_of_the_old_one(bench: Bench) -> None:
    bench.offer()
    bench.count(traffic.tally(1200))
    bench.judge.tick()
    before = bench.judge.findings
    bench.judge = Judge(bench.store, bench.package, bench.told)
    bench.judge.tick()
    assert bench.judge.findings == before
    bench.count(GOOD)
    bench.judge.tick()
    assert bench.row.generation == 2


def test_counts_that_were_lost_prove_nothing(bench: Bench) -> None:
    bench.offer(mode="held", share=0.5)
    bench.count(traffic.tally(20_000, errors=0.0005))
    bench.judge.tick()
    bench.count(traffic.tally(40, errors=0.5))
    bench.judge.tick()
    assert bench.row.generation == 1, "errors of before, without the requests that they were among"
    bench.count(traffic.tally(1040, errors=0.5))
    bench.judge.tick()
    assert bench.row.mode == "rolled_back"


def test_while_the_store_is_away_nothing_is_decided_and_nothing_lost(bench: Bench) -> None:
    bench.offer(share=0.5)
    bench.judge.tick()
    bench.count(traffic.tally(2000, errors=0.05))
    aside = bench.file.rename(bench.file.with_suffix(".aside"))
    with pytest.raises(StoreError):
        Judge(open_store(f"sqlite:///{bench.file}"), bench.package, bench.told).tick()
    aside.rename(bench.file)
    bench.judge.tick()
    assert bench.row.mode == "rolled_back"


def test_harm_that_cannot_be_written_is_told_once_and_tried_again(bench: Bench) -> None:
    bench.offer(share=0.5)
    bench.count(traffic.tally(2000, errors=0.05))
    with sqlite3.connect(bench.file) as raw:
        raw.execute("create trigger full before update on stillroom_state begin select raise(abort, 'full'); end")
    for _ in range(3):
        with pytest.raises(StoreError, match="full"):
            bench.judge.tick()
    (notice,) = bench.told.notices
    assert notice.event == "stillroom.alarm" and "harm is proven, and the row cannot be changed" in notice.text
    with sqlite3.connect(bench.file) as raw:
        raw.execute("drop trigger full")
    bench.judge.tick()
    assert bench.row.mode == "rolled_back" and len(bench.told.notices) == 2


def test_a_full_audit_log_does_not_keep_harm_where_it_is(bench: Bench) -> None:
    """The rollback stands, and its event is written when it can be, with the time at which it happened."""
    bench.offer(share=0.5)
    bench.count(traffic.tally(2000, errors=0.05))
    with sqlite3.connect(bench.file) as raw:
        raw.execute("create trigger full before insert on stillroom_events begin select raise(abort, 'full'); end")
    bench.judge.tick()
    assert bench.row.mode == "rolled_back" and bench.store.events() == ()
    assert [notice.event for notice in bench.told.notices] == ["stillroom.rollback"]
    with sqlite3.connect(bench.file) as raw:
        raw.execute("drop trigger full")
    bench.judge.tick()
    (event,) = bench.events("rollback")
    assert event.numbers["errors.count"] == 50 and float(event.numbers["happened_s"]) <= event.at_s + 1


def test_who_changes_the_row_first_has_the_say(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.offer(share=0.5)
    bench.count(traffic.tally(2000, errors=0.05))
    decide = loop.decide

    def meanwhile(*arguments: Any) -> Any:
        bench.store.swap(bench.row.next(by="ada", reason="", since_s=0.0, share=0.2, stage=-1, mode="settled"), 1)
        return decide(*arguments)

    monkeypatch.setattr(loop, "decide", meanwhile)
    bench.judge.tick()
    monkeypatch.setattr(loop, "decide", decide)
    assert (bench.row.by, bench.row.generation) == ("ada", 2)
    assert bench.store.events() == () and bench.told.notices == []
    bench.judge.tick()
    assert bench.row.generation == 2, "the new generation has shown no harm yet"


def test_drift_is_told_once_until_it_is_over(bench: Bench) -> None:
    bench.offer(share=0.5, mode="held", since_s=bench.store.now_s() - 120)
    moved = traffic.tally(2000, shift=5)
    bench.count(moved)
    for _ in range(3):
        bench.judge.tick()
    (event,) = bench.events("alarm")
    assert event.reason.startswith("drift_inputs: moved away from val: input mean (PSI ")
    assert float(event.numbers["psi input mean"]) > 0.2 and event.numbers["version"] == "7"
    assert [notice.event for notice in bench.told.notices] == ["stillroom.drift"] and bench.row.generation == 1
    bench.anew()
    bench.count(moved)
    bench.judge.tick()
    assert len(bench.events("alarm")) == 1, "the same package, and it was never over"
    bench.anew()
    bench.count(traffic.tally(2000))
    bench.judge.tick()
    bench.anew()
    bench.count(moved)
    bench.judge.tick()
    assert len(bench.events("alarm")) == 2


def test_another_package_is_judged_by_its_own_limits(bench: Bench, tmp_path: Path) -> None:
    other = traffic.package(tmp_path / "other", seed=2, judge={**traffic.LIMITS, "error_rate": 0.2})
    bench.offer(share=0.5, mode="held", package=str(other.folder), package_sha256=other.manifest_sha256)
    bench.count(traffic.tally(4000, errors=0.05))
    bench.judge.tick()
    assert bench.row.generation == 1 and bench.outcomes()["errors"] == "within"


def test_a_package_that_cannot_be_read_is_told_and_read_again(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = traffic.package(tmp_path / "other", seed=2)
    model = (other.folder / "control.onnx").read_bytes()
    (other.folder / "control.onnx").write_bytes(b"torn")
    bench.offer(share=0.5, package=str(other.folder), package_sha256=other.manifest_sha256)
    bench.count(traffic.tally(2000, errors=0.05))
    for _ in range(3):
        bench.judge.tick()
    (finding,) = bench.judge.findings
    assert finding.rule == "package" and "control.onnx: changed since it was packaged" in finding.sentence
    assert [notice.event for notice in bench.told.notices] == ["stillroom.alarm"] and bench.row.generation == 1
    (other.folder / "control.onnx").write_bytes(model)
    monkeypatch.setattr("serving.keeper.packages.AGAIN_S", 0.0)
    bench.judge._packages._broken = None
    bench.judge.tick()
    assert bench.row.mode == "rolled_back"


def test_a_snapshot_tells_of_workers_and_of_what_is_waited_for(bench: Bench) -> None:
    bench.offer()
    for worker, generation, error in (("one", 1, ""), ("two", 0, "the store is away")):
        bench.store.present(Presence(worker=worker, generation=generation, package_sha256="ab", error=error))
    bench.judge.tick()
    now = bench.judge.exposition.snapshot
    assert now.workers == {"live": 2, "behind": 1, "failing": 1}
    assert now.waits[0] == "500 rows of the treatment; there are 0"
    assert now.row == bench.row and now.findings == bench.judge.findings
