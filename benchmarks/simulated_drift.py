"""The alarms of drift, PSI, KS and ADWIN, on simulated rows: how often they ring for nothing, how soon for a reason.

One feature at a time, by the judge's own windows and changes. R = runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from serving.keeper.judge.change import BLOCK_ROWS, Change
from serving.keeper.judge.drift import Window
from serving.reference import Bins
from serving.shapes import DriftLimits, Judge

Array = np.ndarray[Any, Any]
LIMITS, JUDGE = DriftLimits(), Judge()
VAL_ROWS, TENTHS = 2000, np.arange(1, 10) / 10
FEATURES = 7  # of a package of pictures: three of the inputs, and labels and confidence of both variants
EACH = JUDGE.alpha / (2 * FEATURES)  # of one distance of one feature, as judge/moved.py deals alpha
OF_MEANS = JUDGE.alpha / 3  # of one mean, as judge/means.py does


@dataclass(frozen=True)
class Moved:
    """Live rows of a feature: normal on val, `shift` and `scale` in val's standard deviations; or ten labels."""

    what: str
    shift: float = 0.0
    scale: float = 1.0
    label: float | None = None  # share of the first of ten labels, which val has alike

    def val(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """What a package knows of val, counts (B,), and the shares (B,) that live rows have."""
        if self.label is not None:
            live = np.array([self.label, *[(1 - self.label) / 9] * 9])
            return rng.multinomial(VAL_ROWS, np.full(10, 0.1)), live
        values = rng.normal(size=VAL_ROWS)
        edges = np.quantile(values, TENTHS)
        bins = Bins(edges=tuple(edges.tolist()), counts=(0,) * 10)
        return bins.count(values), np.diff(norm.cdf((edges - self.shift) / self.scale), prepend=0, append=1)


SAME, SAME_LABELS = Moved("as on val"), Moved("labels as on val", label=0.1)
MOVED = (
    Moved("mean by 0.2 deviations", 0.2),
    Moved("mean by 0.3", 0.3),
    Moved("mean by 0.5", 0.5),
    Moved("mean by 1", 1.0),
    Moved("spread by 1.5", scale=1.5),
    Moved("a label of ten from 10 % to 20 %", label=0.2),
    Moved("a label from 10 % to 30 %", label=0.3),
    Moved("a label from 10 % to 50 %", label=0.5),
)


def windows_to_drift(
    rule: str, moved: Moved, alpha: float, *, runs: int, windows: int, seed: int, limits: DriftLimits = LIMITS
) -> Array:
    """The window (R,) that tells drift by `rule` (psi or ks) alone, from 1 on; `windows` + 1: none does.

    A window has `limits.min_rows` rows and takes a minute.
    """
    return np.array([
        _first_window(rule, moved, alpha, windows, np.random.default_rng([seed, run]), limits) for run in range(runs)
    ])  # fmt: skip


def _first_window(
    rule: str, moved: Moved, alpha: float, windows: int, rng: np.random.Generator, limits: DriftLimits
) -> int:
    reference, live = moved.val(rng)
    window = Window(reference, limits.min_rows, alpha, ordered=moved.label is None)
    sums = np.zeros(len(live), np.int64)
    for period in range(windows):
        sums = sums + rng.multinomial(limits.min_rows, live)
        assert window.see(sums, period) and window.distance is not None, "it is full"
        far = window.distance
        if far.beyond(limits.psi, 1.0) if rule == "psi" else far.beyond(float("inf"), limits.ks):
            return period + 1
    return windows + 1


@dataclass(frozen=True)
class Mean:
    """A mean before and after a change, the least change that counts, and whether only a rise does."""

    what: str
    before: float
    after: float
    least: float
    up: bool = True


def _error(share: float) -> Mean:
    return Mean(f"errors from 0.05 % to {100 * share:g} %", 0.0005, share, JUDGE.error_rate)


def _disagreement(share: float) -> Mean:
    return Mean(f"disagreement from 0.7 % to {100 * share:g} %", 0.007, share, JUDGE.disagreement)


def _confidence(mean: float) -> Mean:
    return Mean(f"confidence from 0.9 to {mean:g}", 0.9, mean, LIMITS.ks, up=False)


STEADY = (
    Mean("errors 0.05 %", 0.0005, 0.0005, JUDGE.error_rate),
    Mean("errors 1 %, the limit", 0.01, 0.01, JUDGE.error_rate),
    Mean("disagreement 0.7 %", 0.007, 0.007, JUDGE.disagreement),
    Mean("disagreement 3 %, the limit", 0.03, 0.03, JUDGE.disagreement),
    Mean("confidence 0.9", 0.9, 0.9, LIMITS.ks, up=False),
)
CHANGED = (
    *(_error(share) for share in (0.02, 0.05, 0.5)),
    *(_disagreement(share) for share in (0.04, 0.08, 0.2)),
    *(_confidence(mean) for mean in (0.75, 0.6)),
)


def rows_to_change(mean: Mean, alpha: float, *, runs: int, before: int, rows: int, seed: int) -> Array:
    """Rows (R,) after the change until ADWIN tells it; `rows` + 1: never. `before` rows came first, told or not.

    A block has BLOCK_ROWS rows. A confidence is drawn from a beta distribution, the rest are shares.
    """
    return np.array([
        _first_row(mean, alpha, before, rows, np.random.default_rng([seed, run])) for run in range(runs)
    ])  # fmt: skip


def _first_row(mean: Mean, alpha: float, before: int, rows: int, rng: np.random.Generator) -> int:
    change, draw = Change(mean.least, alpha, up=mean.up), _of_block(mean, rng)
    totals = np.cumsum([*draw(mean.before, before // BLOCK_ROWS), *draw(mean.after, rows // BLOCK_ROWS)])
    for block, total in enumerate(totals, 1):
        if change.see(float(total), block * BLOCK_ROWS) and block * BLOCK_ROWS > before:
            return block * BLOCK_ROWS - before
    return rows + 1


def _of_block(mean: Mean, rng: np.random.Generator) -> Callable[[float, int], Array]:
    """What gives the sums (N,) of N blocks with a mean."""
    if mean.up:
        return lambda share, blocks: rng.binomial(BLOCK_ROWS, share, blocks)
    return lambda share, blocks: rng.beta(5 * share, 5 * (1 - share), (blocks, BLOCK_ROWS)).sum(axis=1)
