"""The differences of two variants, or of the variants of two revisions: figures, intervals and what they say.

Sizes and costs are exact. Accuracy is compared row by row where both sides answered the same test rows, latency round
by round where one benchmark timed both; else as if each side had been measured apart: that interval is wider than it
need be, never narrower.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flows.measured import Measured, Point, Results
from tasks.core.findings import Interval
from tasks.core.frozen import Frozen
from tasks.evidence.difference import difference, holds, over, quotient, share_interval
from tasks.evidence.harm import NOTHING
from tasks.evidence.marks import change as paired_change

Verdict = Literal["better", "worse", "the same", "no significant change", "not comparable"]


class Difference(Frozen):
    """One metric on both sides."""

    metric: str
    threads: int | None = Field(None, description="of a latency")
    batch: int | None = Field(None, description="of a latency")
    a: float
    b: float
    change: Interval | None = Field(description="b minus a, of a latency b over a; null: cannot be told")
    kind: Literal["difference", "ratio"]
    paired: bool = Field(False, description="row by row, or round by round of one benchmark")
    verdict: Verdict


class Pair(Frozen):
    """Two variants that are compared: of one checkout, or one name at two revisions."""

    a: str
    b: str
    same_model: bool
    differences: tuple[Difference, ...]


class Comparison(Frozen):
    """All that `stillroom compare A B` found."""

    a: str
    b: str
    of: Literal["variants", "revisions"]
    chosen: tuple[str, str] = Field(description="what was chosen where a stands, and where b stands")
    only_a: tuple[str, ...] = Field(description="variants of revision a that b lacks")
    only_b: tuple[str, ...]
    pairs: tuple[Pair, ...]


def of_variants(results: Results, a: str, b: str) -> Comparison:
    """Two variants of one place."""
    pairs = (pair(results, a, results, b),)
    chosen = (results.chosen, results.chosen)
    return Comparison(a=a, b=b, of="variants", chosen=chosen, only_a=(), only_b=(), pairs=pairs)


def of_revisions(a: str, before: Results, b: str, after: Results) -> Comparison:
    """Every variant that both revisions have."""
    return Comparison(
        a=a,
        b=b,
        of="revisions",
        chosen=(before.chosen, after.chosen),
        only_a=tuple(name for name in before.measured if name not in after.measured),
        only_b=tuple(name for name in after.measured if name not in before.measured),
        pairs=tuple(pair(before, name, after, name) for name in before.measured if name in after.measured),
    )


def pair(before: Results, a: str, after: Results, b: str) -> Pair:
    """Variant `a` of one place beside variant `b` of another, or of the same."""
    mine, theirs = before.measured[a], after.measured[b]
    one, other = ((side.cpu, side.measured[side.reference].model_sha256) for side in (before, after))
    itself = before is not after and (a, b) == (before.reference, after.reference)  # its ratio is 1 by definition
    points = [at for at in before.timings[a] if at in after.timings[b]]
    alike, together = one == other and not itself, before is after
    latencies = [latency(before.timings[a][at], after.timings[b][at], alike, together) for at in points]
    same_model = mine.model_sha256 == theirs.model_sha256
    return Pair(a=a, b=b, same_model=same_model, differences=(*quality(mine, theirs), *latencies))


def quality(a: Measured, b: Measured) -> list[Difference]:
    """Accuracy with its interval, and what has none."""
    found = [accuracy(a, b)]
    for metric in ("size_bytes", "parameters", "macs"):
        found.append(exact(metric, getattr(a, metric), getattr(b, metric)))
    return found


def accuracy(a: Measured, b: Measured) -> Difference:
    """That on `test`, row by row where both sides kept their marks of the same rows."""
    ours, theirs, rows = b.marks, a.marks, a.test.rows
    if ours and theirs and (ours.labels_sha256, b.test.rows) == (theirs.labels_sha256, rows):
        same = a.model_sha256 == b.model_sha256
        change, paired = NOTHING if same else paired_change(ours, theirs, rows), True
    else:
        apart = share_interval(b.test.accuracy, b.test.rows), share_interval(a.test.accuracy, rows)
        change, paired = difference(*apart), False
    verdict = judged(change, 0.0, more_is_better=True)
    x, y = a.test.accuracy, b.test.accuracy
    return Difference(
        metric="test_accuracy", a=x, b=y, change=change, kind="difference", paired=paired, verdict=verdict
    )


def exact(metric: str, a: int, b: int) -> Difference:
    """A count, less of which is better."""
    change = Interval(value=b - a, low=b - a, high=b - a)
    verdict = judged(change, 0.0, more_is_better=False)
    return Difference(metric=metric, a=a, b=b, change=change, kind="difference", verdict=verdict)


def latency(a: Point, b: Point, alike: bool, together: bool) -> Difference:
    """Medians, and how many times as long b takes.

    Measured `together`: round by round. Else, or where rounds are not kept, by way of the reference, which must be
    `alike`: the same model, on the same processor.
    """
    rounds = over(b.round_ms, a.round_ms) if together and a.by_mean == b.by_mean else None
    change = rounds or (quotient(b.ratio, a.ratio) if alike else None)
    verdict: Verdict = "not comparable" if change is None else judged(change, 1.0, more_is_better=False)
    return Difference(
        metric="latency_p50_ms",
        threads=a.threads,
        batch=a.batch,
        a=a.p50_ms,
        b=b.p50_ms,
        change=change,
        kind="ratio",
        paired=rounds is not None,
        verdict=verdict,
    )


def judged(change: Interval, nothing: float, *, more_is_better: bool) -> Verdict:
    """What an interval says; one without width that lies on `nothing` is `the same`."""
    if change.low == change.high == nothing:
        return "the same"
    if holds(change, nothing):
        return "no significant change"
    return "better" if (change.value > nothing) == more_is_better else "worse"
