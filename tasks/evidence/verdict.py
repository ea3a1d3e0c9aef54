"""The sentences and comparisons of the report: what an engineer would say of the numbers, and no more than that."""

from __future__ import annotations

from typing import NamedTuple

from tasks.core.findings import Interval
from tasks.core.results import Evaluation, Quality

NEVER_MORE = 20  # classes listed


class Claim(NamedTuple):
    """One headline number with what it rests on."""

    figure: str
    meaning: str
    basis: str


class ClassChange(NamedTuple):
    """Recall of one class, reference and variant, and how far that moved."""

    name: str
    before: float
    after: float

    @property
    def change(self) -> float:
        """Variant minus reference; negative is a loss."""
        return self.after - self.before


def times(factor: float) -> str:
    """A factor in three significant digits at most: 1.25×, 4.1×, 13.7×, 120×."""
    digits = 2 if factor < 2 else 1 if factor < 100 else 0
    return f"{factor:.{digits}f}×"


def speed(ratio: Interval) -> Claim:
    """What a latency ratio says; an interval that holds 1 supports no claim."""
    if ratio.low <= 1 <= ratio.high:
        return Claim(
            "≈ 1×", "no change in speed that can be told", f"latency ratio {ratio.low:.2f} to {ratio.high:.2f}"
        )
    if ratio.value < 1:
        return Claim(times(1 / ratio.value), "faster", f"95 % interval {1 / ratio.high:.2f}× to {1 / ratio.low:.2f}×")
    return Claim(times(ratio.value), "slower", f"95 % interval {ratio.low:.2f}× to {ratio.high:.2f}×")


def size(mine: int, reference: int) -> Claim:
    """How the file's size changed, in bytes."""
    basis = f"{reference / 1e6:.3f} MB to {mine / 1e6:.3f} MB"
    if mine > reference:
        return Claim(times(mine / reference), "larger", basis)
    return Claim(times(reference / mine), "smaller", basis)


def accuracy(mine: Quality, reference: Quality) -> Claim:
    """What it costs on the rows of one split, in points and in rows."""
    drop = reference.accuracy - mine.accuracy
    rows = round(abs(drop) * mine.rows)
    basis = f"{reference.accuracy:.2%} to {mine.accuracy:.2%}: {rows} of {mine.rows} test rows"
    if rows == 0:
        return Claim("0 points", "no accuracy lost on test", basis)
    return Claim(f"{abs(100 * drop):.2f} points", "lost on test" if drop > 0 else "gained on test", basis)


def class_changes(mine: Evaluation, reference: Evaluation) -> list[ClassChange]:
    """Per-class recall on test, the greatest loss first; at most `NEVER_MORE`, those that moved most."""
    before, after = reference.test.per_class_recall, mine.test.per_class_recall
    changes = [ClassChange(name, before[name], after[name]) for name in before if name in after]
    moved = sorted(changes, key=lambda c: -abs(c.change))[:NEVER_MORE]
    return sorted(moved, key=lambda c: (c.change, c.name))
