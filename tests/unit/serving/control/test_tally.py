"""Counting: one worker's sums against a plain recount, and the sum of several workers'."""

from __future__ import annotations

from threading import Thread

import numpy as np
import pytest
from pydantic import ValidationError

from serving.control.state import State
from serving.control.tally import ShadowTally, Tally, VariantTally, merged
from serving.counts import Counts
from serving.metrics import SECONDS

LABELS = ("cat", "dog", "eel")


def test_what_was_answered_is_counted_row_by_row() -> None:
    rng = np.random.default_rng(3)
    counts, classes, confident, slow = Counts(LABELS), [], [], 0
    for i in range(50):
        shares = rng.dirichlet(np.ones(3), size=1 + i % 4)
        classes += [int(row.argmax()) for row in shares]
        confident += [float(row.max()) for row in shares]
        seconds = 0.0015 if i % 2 else 20.0
        slow += seconds > SECONDS[-1]
        counts.answered("treatment", seconds, shares)
    found = counts.tally().treatment
    assert (found.requests, found.rows, sum(found.predicted.values())) == (50, len(classes), len(classes))
    assert found.predicted == {label: classes.count(i) for i, label in enumerate(LABELS)}
    assert found.confidence == tuple(np.histogram(confident, bins=20, range=(0, 1))[0].tolist())
    assert found.latency[SECONDS.index(0.002)] == 25 and found.latency[-1] == slow == 25
    assert found.latency_sum_s == pytest.approx(25 * 20.0015)
    assert counts.tally().control == VariantTally()


def test_a_sure_answer_falls_into_the_last_bin() -> None:
    counts = Counts(LABELS)
    counts.answered("control", 0.1, np.array([[1.0, 0.0, 0.0]]))
    assert counts.tally().control.confidence[-1] == 1


def test_nothing_is_lost_between_threads() -> None:
    counts = Counts(LABELS)

    def work() -> None:
        for _ in range(300):
            counts.answered("control", 0.001, np.full((2, 3), 1 / 3))
            counts.failed("treatment")
            counts.inputs({"mean": np.array([1, 2])})

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = counts.tally()
    assert (found.control.requests, found.control.rows, found.treatment.errors) == (1200, 2400, 1200)
    assert found.inputs == {"mean": (1200, 2400)}


def test_the_rest_is_counted_where_it_belongs() -> None:
    counts = Counts(LABELS)
    counts.refused(None)
    counts.failed(None)
    counts.refused("control")
    counts.labelled("treatment", right=3, wrong=1)
    counts.cached(hits=2, misses=5)
    counts.shadowed(compared=4, agreed=3, kl_sum=0.5, flips={"cat": 1})
    counts.shadowed(dropped=2, failed=1, compared=1, kl_sum=0.25, flips={"cat": 1})
    assert counts.tally() == Tally(
        control=VariantTally(refused=1),
        treatment=VariantTally(right=3, wrong=1),
        shadow=ShadowTally(compared=5, agreed=3, dropped=2, failed=1, kl_sum=0.75, flips={"cat": 2}),
        cache_hits=2,
        cache_misses=5,
        refused=1,
        errors=1,
    )


def test_workers_add_up_and_json_loses_nothing() -> None:
    one = Tally(
        control=VariantTally(requests=2, predicted={"cat": 1, "dog": 1}, latency=(1, 1), confidence=(0, 2)),
        shadow=ShadowTally(compared=3, flips={"cat": 1}),
        inputs={"mean": (1, 2)},
        refused=4,
    )
    other = Tally(
        control=VariantTally(requests=3, predicted={"dog": 3}, latency=(0, 1, 5), latency_sum_s=0.5),
        shadow=ShadowTally(compared=1, flips={"eel": 1}, kl_sum=0.25),
        inputs={"mean": (1, 0), "spread": (7,)},
        cache_hits=1,
    )
    both = merged([one, other])
    assert (both.control.requests, both.control.predicted) == (5, {"cat": 1, "dog": 4})
    assert both.control.latency[:3] == (1, 2, 5)
    assert (both.shadow.compared, both.shadow.flips, both.shadow.kl_sum) == (4, {"cat": 1, "eel": 1}, 0.25)
    assert both.inputs == {"mean": (2, 2), "spread": (7,)}
    assert (both.refused, both.cache_hits) == (4, 1)
    assert merged([other, one]) == both and merged([]) == Tally()
    assert Tally.model_validate_json(both.model_dump_json()) == both


def test_the_next_state_is_checked_and_one_on() -> None:
    first = State(generation=1, package="p", version="3", share=0.1, by="test")
    after = first.next(by="keeper", reason="evidence", since_s=5.0, share=0.5, stage=2, mode="rolling")
    assert (after.generation, after.share, after.package, after.by) == (2, 0.5, "p", "keeper")
    with pytest.raises(ValidationError, match="share"):
        first.next(by="keeper", reason="", since_s=0.0, share=1.5)
