"""One metric on two sides: figures, interval and what it says.

Sizes and costs are exact. Accuracy is compared row by row where both sides answered the same test rows, the typical
latency round by round where one benchmark timed both; else as if each side had been measured apart: that interval is
wider than it need be, never narrower.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flows.measured import Measured, Point
from tasks.core.findings import Interval
from tasks.core.frozen import Frozen
from tasks.evidence.difference import difference, holds, over, quotient, share_interval
from tasks.evidence.harm import NOTHING
from tasks.evidence.marks import change as paired_change

Latency = Literal["latency_p50_ms", "latency_p95_ms"]
Verdict = Literal["better", "worse", "the same", "no significant change", "not comparable"]


class Difference(Frozen):
    """One metric on both sides."""

    metric: str
    engine: str | None = Field(None, description="of a latency")
    threads: int | None = Field(None, description="of a latency")
    batch: int | None = Field(None, description="of a latency")
    a: float
    b: float
    change: Interval | None = Field(description="b minus a, of a latency b over a; null: cannot be told")
    kind: Literal["difference", "ratio"]
    paired: bool = Field(False, description="row by row, or round by round of one benchmark")
    verdict: Verdict


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


def latencies(a: Point, b: Point, alike: bool, together: bool) -> tuple[Difference, Difference]:
    """The typical call and p95, and how many times as long those of b take.

    Measured `together`: the typical call round by round. Else, or where rounds are not kept, by way of the reference,
    which must be `alike`: the same model, on the same processor. p95 always goes by way of the reference, of one
    benchmark too: its ratio is that of parts of the rounds (tasks/core/tails.py), which are not kept.
    """
    rounds = over(b.round_ms, a.round_ms) if together and a.by_mean == b.by_mean else None
    typical = rounds or (quotient(b.ratio, a.ratio) if alike else None)
    tail = quotient(b.p95_ratio, a.p95_ratio) if alike and a.p95_ratio and b.p95_ratio else None
    return (
        latency("latency_p50_ms", a, b, typical, paired=rounds is not None),
        latency("latency_p95_ms", a, b, tail, paired=False),
    )


def latency(metric: Latency, a: Point, b: Point, change: Interval | None, *, paired: bool) -> Difference:
    """One of a point's latencies on both sides, in ms, with b's over a's."""
    return Difference(
        metric=metric,
        engine=a.engine,
        threads=a.threads,
        batch=a.batch,
        a=getattr(a, metric.removeprefix("latency_")),
        b=getattr(b, metric.removeprefix("latency_")),
        change=change,
        kind="ratio",
        paired=paired,
        verdict="not comparable" if change is None else judged(change, 1.0, more_is_better=False),
    )


def judged(change: Interval, nothing: float, *, more_is_better: bool) -> Verdict:
    """What an interval says; one without width that lies on `nothing` is `the same`."""
    if change.low == change.high == nothing:
        return "the same"
    if holds(change, nothing):
        return "no significant change"
    return "better" if (change.value > nothing) == more_is_better else "worse"
