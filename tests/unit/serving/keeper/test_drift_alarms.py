"""The alarms of drift at a small scale of the benchmark, seeded: seldom for nothing, soon for a reason."""

from __future__ import annotations

import pytest

from benchmarks import simulated_drift as drift
from serving.shapes import DriftLimits

RUNS, ALPHA = 100, 0.1
NONE = DriftLimits(psi=1e-9, ks=1e-9)


@pytest.mark.parametrize(
    ("rule", "moved"), [("psi", drift.SAME), ("psi", drift.SAME_LABELS), ("ks", drift.SAME)],
    ids=lambda value: value if isinstance(value, str) else value.what,
)  # fmt: skip
def test_where_nothing_moved_chance_alone_rings_as_seldom_as_promised(rule: str, moved: drift.Moved) -> None:
    found = drift.windows_to_drift(rule, moved, ALPHA, runs=RUNS, windows=20, seed=21, limits=NONE)
    assert (found <= 20).mean() <= ALPHA
    assert (drift.windows_to_drift(rule, moved, ALPHA, runs=20, windows=20, seed=21) > 20).all()


@pytest.mark.parametrize("mean", drift.STEADY, ids=lambda mean: mean.what)
def test_a_mean_that_stays_is_no_change(mean: drift.Mean) -> None:
    found = drift.rows_to_change(mean, ALPHA, runs=40, before=0, rows=10_000, seed=22)
    assert (found <= 10_000).mean() <= ALPHA


@pytest.mark.parametrize(
    ("rule", "what", "windows"),
    [
        ("psi", "mean by 0.5", 5),
        ("psi", "mean by 1", 1),
        ("psi", "a label from 10 % to 50 %", 1),
        ("ks", "mean by 0.3", 15),
        ("ks", "mean by 0.5", 1),
        ("ks", "mean by 1", 1),
    ],
)
def test_what_moved_is_told_within_so_many_windows(rule: str, what: str, windows: int) -> None:
    (moved,) = (one for one in drift.MOVED if one.what == what)
    found = drift.windows_to_drift(rule, moved, drift.EACH, runs=40, windows=windows, seed=23)
    assert (found <= windows).mean() >= 0.9


@pytest.mark.parametrize(
    ("what", "rows"),
    [
        ("errors from 0.05 % to 5 %", 5000),
        ("errors from 0.05 % to 50 %", 300),
        ("disagreement from 0.7 % to 20 %", 1000),
        ("confidence from 0.9 to 0.75", 1500),
    ],
)
def test_a_mean_that_changes_is_told_within_so_many_rows(what: str, rows: int) -> None:
    (mean,) = (one for one in drift.CHANGED if one.what == what)
    found = drift.rows_to_change(mean, drift.OF_MEANS, runs=20, before=5000, rows=rows, seed=24)
    assert (found <= rows).mean() >= 0.9
