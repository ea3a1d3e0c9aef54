"""One contract for every store, against the real thing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from serving.control.state import Event, Presence, State
from serving.control.store import Store, StoreError, open_store
from serving.control.tally import Tally, VariantTally

FIRST = State(generation=1, package="results/package", version="3", share=0.1, stage=0, mode="rolling", by="test")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url, create=True)
    yield opened
    opened.close()


def test_there_is_no_row_until_one_is_set(store: Store) -> None:
    assert store.read() is None
    assert store.swap(FIRST, 0)
    assert store.read() == FIRST


def test_only_the_expected_generation_is_replaced(store: Store) -> None:
    second = FIRST.next(by="a", reason="", since_s=1.5, share=0.5)
    assert not store.swap(second, 1), "there is no row to replace"
    assert store.swap(FIRST, 0) and not store.swap(FIRST, 0)
    assert store.swap(second, 1)
    assert not store.swap(FIRST.next(by="b", reason="late", since_s=2.0, share=0.9), 1)
    assert store.read() == second
    with pytest.raises(ValueError, match="goes up by one"):
        store.swap(second, 2)


def test_a_report_replaces_and_workers_add_up(store: Store) -> None:
    for requests in (3, 5, 5):
        store.report("w1", 4, Tally(control=VariantTally(requests=requests, predicted={"c\"at'": requests})))
    store.report("w2", 4, Tally(control=VariantTally(requests=7, latency_sum_s=0.25)))
    store.report("w1", 5, Tally(control=VariantTally(requests=100)))
    found = store.tallies(4).control
    assert (found.requests, found.predicted, found.latency_sum_s) == (12, {"c\"at'": 5}, 0.25)
    assert store.tallies(6) == Tally()


def test_a_presence_is_stamped_by_the_store(store: Store) -> None:
    before = store.now_s()
    store.present(Presence(worker="w1", generation=2, package_sha256="ab", error="older", seen_s=9e12))
    store.present(Presence(worker="w2", generation=3, package_sha256="cd", rss_mb=12.5))
    store.present(Presence(worker="w1", generation=3, package_sha256="cd"))
    first, second = store.presences()
    assert (first.worker, first.generation, first.error, second.worker, second.rss_mb) == ("w1", 3, "", "w2", 12.5)
    assert before - 0.1 <= second.seen_s <= first.seen_s <= store.now_s() + 0.1


def test_the_log_keeps_its_order_and_is_read_from_a_place(store: Store) -> None:
    ids = [
        store.append(Event(actor="keeper", kind="alarm", generation=i, numbers={"psi": 0.25, "of": "mean"}, reason="ö"))
        for i in range(5)
    ]
    assert ids == sorted(set(ids))
    found = store.events()
    assert [e.id for e in found] == ids and [e.generation for e in found] == list(range(5))
    assert (found[0].numbers, found[0].reason) == ({"psi": 0.25, "of": "mean"}, "ö")
    assert found[0].at_s == pytest.approx(store.now_s(), abs=60)
    assert [e.id for e in store.events(after=ids[1], limit=2)] == ids[2:4]
    assert store.events(after=ids[-1]) == ()
    assert [e.id for e in store.latest(2)] == ids[:-3:-1]
    assert store.latest(100) == tuple(reversed(found))


def test_a_key_is_new_once(store: Store) -> None:
    assert [store.first_time(key) for key in ("a", "b", "a", "b", "a" * 300)] == [True, True, False, False, True]


def test_what_is_old_is_forgotten_but_never_the_row_the_log_or_what_counts_now(store: Store) -> None:
    assert store.swap(FIRST, 0) and store.swap(FIRST.next(by="a", reason="", since_s=0.0), 1)
    for generation in (1, 2):
        store.report("w1", generation, Tally(refused=generation))
    store.present(Presence(worker="w1", generation=2, package_sha256=""))
    store.append(Event(actor="a", kind="boot"))
    assert store.first_time("key")
    store.forget(3600)
    assert store.tallies(1).refused == 1 and store.presences() and not store.first_time("key")
    store.forget(-60)
    assert (store.tallies(1), store.tallies(2).refused) == (Tally(), 2)
    assert store.presences() == () and store.first_time("key")
    assert store.read() is not None and len(store.events()) == 1


RACE = """
import sys, time
from serving.control.state import State
from serving.control.store import open_store
store, name = open_store(sys.argv[1]), sys.argv[2]
print("ready", flush=True); sys.stdin.readline()
for n in range(15):
    new = State(generation=n + 1, package="p", version="1", share=0.0, by=name)
    if store.swap(new, n): print(n + 1, flush=True)
    while (row := store.read()) is None or row.generation < n + 1: time.sleep(0.002)
"""


def test_of_several_processes_exactly_one_wins_each_generation(store: Store, url: str) -> None:
    assert store.read() is None
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, url, f"p{i}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for i in range(3)
    ]
    for racer in racers:
        assert racer.stdout is not None and racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    won = [int(line) for racer in racers for line in racer.communicate(timeout=120)[0].split()]
    assert all(racer.returncode == 0 for racer in racers)
    assert sorted(won) == list(range(1, 16))


def test_a_url_of_no_store_is_refused() -> None:
    for wrong in ("mysql://h/d", "", "rollout.db", "sqlite://", "postgresql+pg8000x://h/d"):
        with pytest.raises(StoreError, match=r"control\.url"):
            open_store(wrong)
