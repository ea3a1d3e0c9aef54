"""ADWIN over means of blocks: found, not found, too small to matter, and River not being there."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from serving.keeper.judge.change import SHOWN_BLOCKS, Change, installed


def fed(change: Change, shares: list[float], seed: int = 11) -> list[int]:
    """The blocks at which a change was told, of 10 rows each with these shares."""
    rng, total, rows, told = np.random.default_rng(seed), 0.0, 0, []
    for i, share in enumerate(shares):
        total, rows = total + float(rng.binomial(10, share)), rows + 10
        if change.see(total, rows):
            told.append(i)
    return told


def test_a_rise_is_told_once_and_shown_for_a_while() -> None:
    change = Change(0.02, 0.003, up=True)
    (at,) = fed(change, [0.02] * 300 + [0.2] * 80)
    assert 300 <= at < 380 and change.seen
    assert change.before < 0.05 < change.now
    fed(change, [0.2] * SHOWN_BLOCKS)
    assert not change.seen
    assert fed(Change(0.02, 0.003, up=True), [0.2] * 300 + [0.02] * 100) == [], "downwards"
    assert fed(Change(0.02, 0.003, up=False), [0.2] * 300 + [0.02] * 100) != []
    assert fed(Change(0.5, 0.003, up=True), [0.02] * 300 + [0.2] * 100) == [], "too small to matter"


def test_no_change_is_not_told() -> None:
    assert [fed(Change(0.02, 0.003, up=False), [0.05] * 500, seed) for seed in range(20)].count([]) == 20


def test_fewer_rows_than_a_block_and_lost_counts() -> None:
    change = Change(0.02, 0.003, up=True)
    assert not change.see(1.0, 9) and not change.see(10.0, 5000) and not change.see(3.0, 60)
    assert (change.before, change.now) == (pytest.approx(0.002), pytest.approx(0.002))


def test_without_river(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installed()
    monkeypatch.setitem(sys.modules, "river.drift", None)
    assert not installed()
