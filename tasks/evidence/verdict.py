"""The sentences and comparisons of the report: what an engineer would say of the numbers, and no more than that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tasks.core.findings import Harm, Interval
from tasks.core.results import Evaluation
from tasks.evidence.harm import collapse, worst

NEVER_MORE = 20  # classes listed


class Claim(NamedTuple):
    """One headline number with what it rests on."""

    figure: str
    meaning: str
    basis: str


class ClassChange(NamedTuple):
    """Recall of one class, reference and variant, and how far that dropped, row by row."""

    name: str
    before: float
    after: float
    drop: Interval

    @property
    def change(self) -> float:
        """Variant minus reference; negative is a loss."""
        return -self.drop.value


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
    if max(mine, reference) < 1.005 * min(mine, reference):
        return Claim("≈ 1×", "no change in size", basis)
    if mine > reference:
        return Claim(times(mine / reference), "larger", basis)
    return Claim(times(reference / mine), "smaller", basis)


def accuracy(mine: Evaluation, reference: Evaluation) -> Claim:
    """What it costs on test, in points and in rows, with the paired interval."""
    before, after, sure = reference.test.accuracy, mine.test.accuracy, mine.harm.accuracy_drop
    drop = before - after
    rows = round(abs(drop) * mine.test.rows)
    basis = f"{before:.2%} to {after:.2%}: {rows} of {mine.test.rows} test rows; 95 % sure of at most"
    basis += f" {max(0.0, 100 * sure.high):.2f} points lost"
    if rows == 0:
        return Claim("0 points", "no accuracy lost on test", basis)
    moved = "lost on test" if drop > 0 else "gained on test"
    chance = ", within chance" if sure.low <= 0 <= sure.high else ""
    return Claim(f"{abs(100 * drop):.2f} points", moved + chance, basis)


def worst_class(harm: Harm) -> Claim:
    """Whose recall fell most on test, and what the worst class surely lost at most, whichever it is."""
    lost = {name: drop for name, drop in harm.recall_drop.items() if drop.value > 0}
    if not lost:
        return Claim("0 points", "lost by the worst class", "no class lost recall on test")
    name, drop = max(lost.items(), key=lambda each: each[1].value)
    basis = f"class {name}; 95 % sure that no class lost more than {100 * worst(harm.recall_drop.values()).high:.2f}"
    return Claim(f"{100 * drop.value:.2f} points", "lost by the worst class", basis)


def headline(name: str, reference: str, claims: Sequence[Claim], harm: Harm) -> str:
    """The verdict in one line. Whoever chose what: a collapsed variant does not win, and harm is not left unsaid."""
    if name == reference:
        return f"{reference} stays: nothing within the budget is better"
    if collapsed := collapse(harm):
        return f"Do not ship {name}: {collapsed}"
    told = ", ".join(c.meaning if c.meaning.startswith("no ") else f"{c.figure} {c.meaning}" for c in claims)
    hurt = [*_named("class", "classes", harm.hurt_classes), *_named("group", "groups", harm.hurt_groups)]
    if hurt:
        return f"{name} is chosen ({told}), but hurts {' and '.join(hurt)}"
    better = any(claim.meaning in ("smaller", "faster") or claim.meaning.startswith("gained") for claim in claims)
    return f"{name} wins: {told}" if better else f"{name} is chosen, but is neither smaller nor faster: {told}"


def _named(one: str, many: str, names: Sequence[str]) -> list[str]:
    """`class dog`, or of several how many; nothing of none."""
    return [f"{one} {names[0]}" if len(names) == 1 else f"{len(names)} {many}"] if names else []


def class_changes(mine: Evaluation, reference: Evaluation) -> list[ClassChange]:
    """Per-class recall on test, the greatest loss first; at most `NEVER_MORE`, those that moved most."""
    before, after = reference.test.per_class_recall, mine.test.per_class_recall
    changes = [ClassChange(name, before[name], after[name], drop) for name, drop in mine.harm.recall_drop.items()]
    moved = sorted(changes, key=lambda c: -abs(c.change))[:NEVER_MORE]
    return sorted(moved, key=lambda c: c.change)
