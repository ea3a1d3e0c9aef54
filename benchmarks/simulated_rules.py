"""Each rule of harm on simulated counts: how soon it is proven, and how often where there is none. R = runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.keeper.judge import rules
from serving.keeper.judge.watch import EVERY_S, Watch
from serving.reference import Expected
from serving.shapes import Judge

Array = np.ndarray[Any, Any]
Draw = Callable[[np.random.Generator, int, int], Array]  # of R runs, so many rows each: counts (R, C)
LIMITS = Judge()
VAL = Expected(rows=2000, count=14, high=0.01)
RULES = {rule.name: rule for rule in rules.of(LIMITS, expected=VAL, shadow=True, control=True)}
ALLOWED = VAL.high + LIMITS.disagreement


@dataclass(frozen=True)
class Case:
    """Traffic for one rule. `rows` are what the rule counts: requests, compared rows, or labelled rows."""

    rule: str
    what: str
    draw: Draw


def late(share: float, of_control: float) -> Draw:
    """Late answers; the control answers as many requests."""

    def draw(rng: np.random.Generator, runs: int, rows: int) -> Array:
        ours, theirs = rng.binomial(rows, share, runs), rng.binomial(rows, of_control, runs)
        n = np.full(runs, rows)
        return np.stack([ours, ours, n, theirs, n], axis=-1)

    return draw


def of(share: float) -> Draw:
    """Failures or disagreements."""
    return lambda rng, runs, rows: np.stack([rng.binomial(rows, share, runs), np.full(runs, rows)], axis=-1)


def right(share: float, of_control: float) -> Draw:
    """Labelled rows, as many of each variant."""

    def draw(rng: np.random.Generator, runs: int, rows: int) -> Array:
        n = np.full(runs, rows)
        return np.stack([rng.binomial(rows, share, runs), n, rng.binomial(rows, of_control, runs), n], axis=-1)

    return draw


AT_THE_LIMIT = (
    Case("p95", "5 % late, control never", late(0.05, 0.0)),
    Case("p95", "30 % late, control too", late(0.3, 0.3)),
    Case("errors", "1 %", of(LIMITS.error_rate)),
    Case("disagreement", "3 % (val's upper end and 2 points)", of(ALLOWED)),
    Case("disagreement_fast", "3 %", of(ALLOWED)),
    Case("accuracy", "92 % against 94 %", right(0.92, 0.94)),
)
HARMFUL = (
    Case("p95", "8 % late, control 1 %", late(0.08, 0.01)),
    Case("p95", "15 %", late(0.15, 0.01)),
    Case("p95", "50 %", late(0.5, 0.01)),
    Case("errors", "2 %", of(0.02)),
    Case("errors", "5 %", of(0.05)),
    Case("errors", "50 %", of(0.5)),
    Case("disagreement", "4 %", of(0.04)),
    Case("disagreement", "5 %", of(0.05)),
    Case("disagreement", "8 %", of(0.08)),
    Case("disagreement", "20 %", of(0.2)),
    Case("disagreement_fast", "8 %", of(0.08)),
    Case("disagreement_fast", "20 %", of(0.2)),
    Case("disagreement_fast", "50 %", of(0.5)),
    Case("accuracy", "90 % against 94 %", right(0.90, 0.94)),
    Case("accuracy", "84 %", right(0.84, 0.94)),
    Case("accuracy", "50 %", right(0.5, 0.94)),
)
LARGE = tuple(case for case in HARMFUL if case.what.startswith(("50 %", "20 %")))  # looked at after every row
GOOD = (
    Case("p95", "1 % late", late(0.01, 0.01)),
    Case("errors", "0.05 %", of(0.0005)),
    Case("errors", "0.5 %", of(0.005)),
    Case("disagreement", "0.7 %, as on val", of(0.007)),
    Case("disagreement", "2 %", of(0.02)),
)


def looks_to_harm(
    case: Case, alpha: float, *, runs: int, looks: int, rows: int, look_s: float, seed: int, before: Draw | None = None,
    before_minutes: int = 0,
) -> Array:  # fmt: skip
    """The look (R,) at which harm is proven, from 1 on; `looks` + 1: never. `rows` come between two looks.

    With `before`, so many minutes of other traffic, looked at once a minute, came first.
    """
    rng, watch = np.random.default_rng(seed), Watch(RULES[case.rule].harm, alpha)
    sums: Array = case.draw(rng, runs, 0)
    for minute in range(before_minutes):
        assert before is not None, "minutes of what?"
        sums = sums + before(rng, runs, round(rows * EVERY_S / look_s))
        watch.see(sums, minute)
    found = np.full(runs, looks + 1)
    for look in range(1, looks + 1):
        sums = sums + case.draw(rng, runs, rows)
        crossed = watch.see(sums, before_minutes + int(look * look_s // EVERY_S)) >= 1
        found = np.where(crossed & (found > looks), look, found)
        if (found <= looks).all():
            break
    return found


def looks_to_within(case: Case, alpha: float, *, runs: int, looks: int, rows: int, seed: int) -> Array:
    """The look (R,) at which the rule is proven to be within its limit; `looks` + 1: never."""
    rng, rule = np.random.default_rng(seed), RULES[case.rule]
    steps = np.stack([case.draw(rng, runs, rows) for _ in range(looks)])
    proven = rule.within(np.cumsum(steps, axis=0)) >= np.log(1 / alpha)
    return np.where(proven.any(axis=0), proven.argmax(axis=0) + 1, looks + 1)


def row(name: str, what: str, found: Array, looks: int, rows: int) -> str:
    """A row of the table of delays: how many were found, and the median, 5th and 95th percentile of rows."""
    seen = found[found <= looks] * rows
    cells: Sequence[str] = ("-", "-")
    if len(seen):
        low, middle, high = np.quantile(seen, [0.05, 0.5, 0.95])
        cells = (f"{middle:,.0f}", f"{low:,.0f} to {high:,.0f}")
    return f"| {name} | {what} | {len(seen)} of {len(found)} | {' | '.join(cells)} |"
