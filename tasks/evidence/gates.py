"""The gates of promotion as arithmetic: what a candidate shows on `test`, and whether that is within the bounds.

What has an interval is judged at its upper end, as in `choose` (tasks/evidence/bounds.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tasks.core.errors import ArtifactError
from tasks.core.findings import Worth
from tasks.core.results import Evaluation, Timing
from tasks.evidence.bounds import bounded, uncertain
from tasks.evidence.portability import disagreement

Bound = tuple[str, float]
WORTH = ("cost_per_million", "joules_per_request", "grams_co2_per_million")
ROUNDING = 1e-9  # 0.98 - 0.96 is 0.020000000000000018 and must pass a bound of 0.02


class Gate(NamedTuple):
    """One gate: the figure that was `found`, and its bound; `at_least` bounds it from below instead of from above."""

    name: str
    found: float
    bound: float
    at_least: bool

    @property
    def holds(self) -> bool:
        """Whether the figure keeps the bound; one that equals it does, NaN never does."""
        return self.found >= self.bound - ROUNDING if self.at_least else self.found <= self.bound + ROUNDING

    @property
    def allowed(self) -> str:
        """The bound for people, as `<= 0.02`."""
        return f"{'>=' if self.at_least else '<='} {self.bound:g}"


def figures(variant: Evaluation, reference: Evaluation, timing: Timing, worth: Worth | None) -> dict[str, float]:
    """Every figure that a gate may bound, on `test`; drops are reference minus variant, so a gain is negative.

    Raises:
        ArtifactError: The two were not measured on the same test split.
    """
    ours, theirs = variant.test, reference.test
    if ours.rows != theirs.rows or ours.per_class_recall.keys() != theirs.per_class_recall.keys():
        raise ArtifactError(
            f"{variant.variant} and {reference.variant}: measured on different test splits"
            f" ({ours.rows} and {theirs.rows} rows); run again"
        )
    harm, money = variant.harm, worth.model_dump(include=set(WORTH)) if worth else {}
    return {
        **bounded(uncertain(harm, timing)),
        "accuracy": ours.accuracy,
        "agreement": ours.agreement,
        "macro_f1": ours.macro_f1,
        "size_mb": variant.size_bytes / 1e6,
        "flips": harm.flips,
        "classes_never_predicted": float(len(harm.never_predicted)),
        "portability_disagreement": disagreement(variant.portability),
        **money,
        **(harm.fairness.model_dump() if harm.fairness else {}),
    }


def check(found: Mapping[str, float], at_most: Iterable[Bound], at_least: Iterable[Bound]) -> tuple[Gate, ...]:
    """A gate for every bound, upper bounds first, each in the order of the file; a figure without a bound has none.

    Raises:
        ArtifactError: A bound has no figure, as one on groups where the data have none.
    """
    at_most, at_least = tuple(at_most), tuple(at_least)
    for name, _ in (*at_most, *at_least):
        if name not in found:
            why = "results/chosen.json says nothing of it; run again" if name in WORTH else "the data have no groups"
            raise ArtifactError(f"params/promotion.yaml: {name}: cannot be judged, {why}")
    upper = (Gate(name, found[name], bound, False) for name, bound in at_most)
    lower = (Gate(name, found[name], bound, True) for name, bound in at_least)
    return (*upper, *lower)


def table(gates: tuple[Gate, ...]) -> str:
    """The gates for people, one a line under a heading: gate, found, allowed, ok."""
    lines = [("gate", "found", "allowed", "ok")]
    lines += [(gate.name, f"{gate.found:.4g}", gate.allowed, "yes" if gate.holds else "NO") for gate in gates]
    wide = [max(len(line[k]) for line in lines) for k in range(4)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, wide, strict=True)).rstrip() for line in lines)
