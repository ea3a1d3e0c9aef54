"""How many units stay, and the search for the least ratio: pure numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tasks.core import latency, race
from tasks.core.allocation import Goal, allocate, share_after
from tasks.core.findings import Interval
from tasks.core.search import least


def test_one_ranking_keeps_the_best_of_all_and_empties_no_part() -> None:
    scores = {"weak": torch.tensor([0.1, 0.2, 0.3, 0.4]), "strong": torch.tensor([5.0, 6.0, 7.0, 8.0])}
    goals = {name: Goal(4, 0.5, 1, "channels") for name in scores}
    assert allocate(goals, scores) == {"weak": 1, "strong": 4}
    assert allocate({n: g._replace(step=2) for n, g in goals.items()}, scores) == {"weak": 2, "strong": 4}
    assert allocate({n: g._replace(pool=None) for n, g in goals.items()}, scores) == {"weak": 2, "strong": 2}


def test_pools_do_not_mix_and_a_part_never_grows() -> None:
    scores = {"a": torch.ones(4), "b": torch.ones(3) * 9, "c": torch.ones(2)}
    goals = {"a": Goal(4, 0.5, 1, "heads"), "b": Goal(8, 0.5, 1, "neurons"), "c": Goal(8, 0.25, 1)}
    assert allocate(goals, scores) == {"a": 2, "b": 3, "c": 2}


def test_nothing_asked_is_nothing_taken() -> None:
    assert allocate({"a": Goal(10, 0, 8), "b": Goal(10, 0, 8, "x")}, {"a": torch.ones(10), "b": torch.ones(10)}) == {
        "a": 10,
        "b": 10,
    }


def test_each_round_takes_the_same_share_of_what_is_left() -> None:
    stays = [1 - share_after(0.875, done, 3) for done in (1, 2, 3)]
    assert stays == pytest.approx([0.5, 0.25, 0.125])


def test_least_finds_the_edge_within_its_steps() -> None:
    asked: list[float] = []

    def cost(ratio: float) -> float:
        asked.append(ratio)
        return 1 - ratio

    found = least(cost, 0.3, 10)
    assert found is not None and 0.7 <= found.ratio < 0.7 + 2**-10 and found.cost <= 0.3
    assert [r for r, _ in found.tried] == asked and len(asked) == 12


def test_least_when_nothing_need_be_done_and_when_nothing_helps() -> None:
    done = least(lambda _: 0.2, 0.3, 5)
    assert done is not None and done.ratio == 0 and len(done.tried) == 1
    assert least(lambda _: 0.4, 0.3, 5) is None


def test_both_are_opened_anew_in_every_round_and_called_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that always answers the same: the ratio, and who is opened and called when."""
    told: list[str] = []

    def opener(name: str) -> Callable[[], list[Callable[[], None]]]:
        def opened() -> list[Callable[[], None]]:
            told.append(f"open {name}")
            return [lambda: told.append(name)]

        return opened

    def visit(call: Callable[[], object], _for_ms: float) -> Any:
        call()
        return np.array([{"parent": 4.0, "candidate": 3.0}[told[-1]]] * 3)

    monkeypatch.setattr(race, "visit", visit)
    found = latency.compare(opener("parent"), opener("candidate"), 8)
    assert found[:2] == (4.0, 3.0) and found.ratio == Interval(value=0.75, low=0.75, high=0.75)
    opened = [line.removeprefix("open ") for line in told if line.startswith("open")]
    rounds = set(zip(opened[::2], opened[1::2], strict=True))
    assert len(opened) == 16 and rounds == {("parent", "candidate"), ("candidate", "parent")}
    each = told[:: len(told) // 16]  # an opened model is called before the other is opened
    assert [line.removeprefix("open ") for line in each] == opened
