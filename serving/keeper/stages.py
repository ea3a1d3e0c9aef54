"""Who gets the treatment next, by what was found: pure, no store and no clock.

An advance needs proof: `min_rows` of the treatment, `hold_s` since the last change, and every awaited rule (p95,
errors, and disagreement where it is measured) proven to be within its limit. Rules that may never have data (labelled
feedback) need only not be harm. A rollback needs one proof of harm, in any mode, at any share above 0. A hold by hand
stops advances alone. Drift moves nobody: it is told, and retraining answers it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from serving.control.state import State
from serving.keeper.judge.finding import Finding
from serving.shapes import Rollout


@dataclass(frozen=True)
class Decision:
    """A change of the row. A rollback's share is 0; an advance to the present stage settles it."""

    kind: Literal["advance", "rollback"]
    stage: int
    share: float
    reason: str


@dataclass(frozen=True)
class Evidence:
    """What is known of one generation: `harms` are the rules that may take back, `awaited` those that must be within.

    `missing` says why nothing can ever be proven here; "" = nothing is missing.
    """

    findings: Sequence[Finding]
    harms: frozenset[str]
    awaited: frozenset[str]
    rows: int
    missing: str = ""

    def numbers(self) -> dict[str, float]:
        """What a decision rests on, to six digits: {rule.name: number}, of the rules that decide."""
        decisive = (f for f in self.findings if f.rule in self.harms)
        return {f"{f.rule}.{name}": float(f"{n:.6g}") for f in decisive for name, n in f.numbers.items()}


def decide(row: State, rollout: Rollout, known: Evidence, now_s: float) -> Decision | None:
    """What is to be done; None: nothing."""
    harmful = [f for f in known.findings if f.rule in known.harms and f.outcome == "harm"]
    if harmful and row.share > 0:
        return Decision("rollback", row.stage, 0.0, _short("; ".join(f"{f.rule}: {f.sentence}" for f in harmful)))
    if row.mode != "rolling" or waits(row, rollout, known, now_s):
        return None
    proven = "; ".join(f"{f.rule}: {f.sentence}" for f in known.findings if f.rule in known.awaited)
    if row.stage + 1 < len(rollout.stages):
        share = rollout.stages[row.stage + 1]
        return Decision("advance", row.stage + 1, share, _short(proven))
    return Decision("advance", row.stage, row.share, _short(f"the last stage; {proven}"))


def waits(row: State, rollout: Rollout, known: Evidence, now_s: float) -> tuple[str, ...]:
    """What the next stage still waits for, in words; () for a row that is not rolling, or that waits for nothing."""
    if row.mode != "rolling":
        return ()
    limits, told = rollout.judge, []
    age_s = now_s - row.since_s
    if known.missing:
        told.append(known.missing)
    if known.rows < limits.min_rows:
        told.append(f"{limits.min_rows:,} rows of the treatment; there are {known.rows:,}")
    if age_s < limits.hold_s:
        told.append(f"{limits.hold_s:g} s since the last change; it is {max(age_s, 0):.0f} s")
    told += [f"{f.rule} within its limit" for f in known.findings if f.rule in known.awaited and f.outcome != "within"]
    told += [f"{f.rule} taken back" for f in known.findings if f.rule in known.harms and f.outcome == "harm"]
    return tuple(told)


def _short(reason: str) -> str:
    """A reason as long as a row can hold."""
    return reason if len(reason) <= 500 else reason[:497] + "..."
