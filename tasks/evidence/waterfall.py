"""What each step did: from the reference down to a variant, what every row on the way gained and lost.

Each step is compared with the one before it. Accuracy is on `test`, and its change is judged row by row. Latency over
that of the one before it is judged round by round of the benchmark; where the rounds are not kept it is a quotient of
two measured ratios (tasks/evidence/difference.py), and over the reference it is the benchmark's own interval.
"""

from __future__ import annotations

from pydantic import Field

from tasks.core.errors import ArtifactError, nearest
from tasks.core.findings import Interval
from tasks.core.frozen import Frozen
from tasks.core.results import Summary, SummaryRow
from tasks.evidence.difference import holds, quotient

_UNTRAINED = "data"


class Change(Frozen):
    """What one step changed. A share is of the whole way, first to last; null where the whole way changes nothing."""

    before: str = Field(description="the variant that this step is compared with")
    accuracy: float
    accuracy_interval: Interval = Field(description="of that change, row by row")
    accuracy_significant: bool = Field(description="whether it leaves 0 out")
    accuracy_share: float | None
    size_bytes: int
    size_share: float | None
    latency_ratio: float = Field(description="the difference of both ratios to the reference")
    latency_share: float | None
    latency: Interval = Field(description="this step's latency over that of the one before; under 1 is faster")
    latency_significant: bool = Field(description="whether its interval leaves 1 out")


class Step(Frozen):
    """One variant on the way; `change` is null for the first, which is the reference."""

    variant: str
    technique: str
    accuracy: float
    size_bytes: int
    latency_ratio: Interval
    change: Change | None


class Waterfall(Frozen):
    """The way from the reference down to `variant`."""

    variant: str
    steps: tuple[Step, ...]


class Waterfalls(Frozen):
    """results/waterfall.json: one waterfall for every leaf of the tree, in the order of the summary."""

    reference: str
    threads: int
    batch: int
    leaves: tuple[Waterfall, ...]


def waterfalls(summary: Summary) -> Waterfalls:
    """The waterfall of every variant that has no child, the reference aside."""
    parents = {row.parent for row in summary.rows}
    leaves = [r.variant for r in summary.rows if r.variant not in parents and r.variant != summary.reference]
    return Waterfalls(
        reference=summary.reference,
        threads=summary.threads,
        batch=summary.batch,
        leaves=tuple(waterfall(summary, leaf) for leaf in leaves),
    )


def waterfall(summary: Summary, variant: str) -> Waterfall:
    """The steps from the reference to `variant`; ArtifactError when the summary does not hold it."""
    rows = way(summary, variant)
    steps = [_step(row, rows[i - 1] if i else None, rows[0], rows[-1]) for i, row in enumerate(rows)]
    return Waterfall(variant=variant, steps=tuple(steps))


def way(summary: Summary, variant: str) -> list[SummaryRow]:
    """The rows from the reference to `variant`.

    Where the reference is no ancestor of it, the reference stands before the whole chain of `variant`: the first step
    is then what beginning anew changed.
    """
    rows = {row.variant: row for row in summary.rows}
    chain: list[SummaryRow] = []
    name = variant
    while name != _UNTRAINED:
        if name not in rows:
            raise ArtifactError(f"results/summary.json: no row {name!r}{nearest(name, rows)}; `stillroom run` makes it")
        chain.insert(0, rows[name])
        if name == summary.reference:
            return chain
        name = rows[name].parent
    return [rows[summary.reference], *chain]


def _step(row: SummaryRow, before: SummaryRow | None, first: SummaryRow, last: SummaryRow) -> Step:
    return Step(
        variant=row.variant,
        technique=row.technique,
        accuracy=row.accuracy,
        size_bytes=row.size_bytes,
        latency_ratio=row.latency_ratio,
        change=None if before is None else _change(row, before, first, last),
    )


def _change(row: SummaryRow, before: SummaryRow, first: SummaryRow, last: SummaryRow) -> Change:
    accuracy, size = row.accuracy - before.accuracy, row.size_bytes - before.size_bytes
    ratio = row.latency_ratio.value - before.latency_ratio.value
    latency = row.step_latency or quotient(row.latency_ratio, before.latency_ratio)
    paired = row.step_change
    assert paired is not None, "only the reference has none, and it is the first"
    return Change(
        before=before.variant,
        accuracy=accuracy,
        accuracy_interval=paired,
        accuracy_significant=not holds(paired, 0.0),
        accuracy_share=share(accuracy, last.accuracy - first.accuracy),
        size_bytes=size,
        size_share=share(size, last.size_bytes - first.size_bytes),
        latency_ratio=ratio,
        latency_share=share(ratio, last.latency_ratio.value - first.latency_ratio.value),
        latency=latency,
        latency_significant=not holds(latency, 1.0),
    )


def share(part: float, whole: float) -> float | None:
    """What part of the whole change a step made; None where the whole is nothing (of rounding, at most)."""
    return None if abs(whole) < 1e-12 else part / whole
