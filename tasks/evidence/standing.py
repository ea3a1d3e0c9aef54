"""What a race has shown so far: each variant's ratio to the reference, and whether that is told sharply enough."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tasks.core.findings import Interval
from tasks.core.median import median_interval
from tasks.core.points import Point
from tasks.core.race import Laps
from tasks.core.results import Timing
from tasks.core.tails import tail_ratio
from tasks.core.timing import Center, round_ratios

Array = np.ndarray[Any, Any]
PERCENTILES = (5, 25, 50, 75, 95, 99)
RATIOS = 3  # of a variant at a point: its typical call, p95, p99
Verdict = Literal["reference", "faster", "slower", "no significant change"]


def confidence_for(comparisons: int) -> float:
    """That of each of some intervals which are to hold together with 95 % (Bonferroni); of none, 95 %."""
    return 1 - 0.05 / max(1, comparisons)


def verdict(ratio: Interval) -> Verdict:
    """What an interval of a latency ratio supports, and no more."""
    return "faster" if ratio.high < 1 else "slower" if ratio.low > 1 else "no significant change"


@dataclass(frozen=True)
class Standing:
    """How laps are judged; `branching` are the variants whose work depends on the row: of these the mean counts."""

    reference: str
    branching: Set[str]
    confidence: float
    precision: float

    def ratio(self, laps: Mapping[str, Laps], name: str, k: int) -> Interval:
        """Latency over the reference's at the k-th point."""
        found = round_ratios(laps[name].calls_ms[k], laps[self.reference].calls_ms[k], self.center(name))
        return median_interval(found, self.confidence)

    def center(self, name: str) -> Center:
        """What stands for the calls of a round."""
        return np.mean if name in self.branching else np.median

    def precise(self, ratio: Interval) -> bool:
        """Whether an interval is narrow enough."""
        return (ratio.high - ratio.low) / 2 <= self.precision * ratio.value

    def settled(self, laps: Mapping[str, Laps]) -> bool:
        """Whether every interval at every point is."""
        others = (name for name in laps if name != self.reference)
        points = range(len(laps[self.reference].calls_ms))
        return all(self.precise(self.ratio(laps, name, k)) for name in others for k in points)

    def timing(self, laps: Mapping[str, Laps], name: str, k: int, point: Point) -> Timing:
        """Percentiles over all calls, and the ratios over rounds."""
        mine, theirs = (laps[each].calls_ms[k] for each in (name, self.reference))
        all_ms, ratio = np.concatenate(mine), self.ratio(laps, name, k)
        percentiles = {f"p{p}_ms": float(np.percentile(all_ms, p)) for p in PERCENTILES}
        return Timing(
            engine=point.engine,
            threads=point.threads,
            batch=point.batch,
            **percentiles,
            rows_per_s=float(1000 * point.batch * len(all_ms) / all_ms.sum()),
            calls=len(all_ms),
            rounds=laps[name].rounds,
            ratio=ratio,
            p95_ratio=tail_ratio(mine, theirs, 95, self.confidence),
            p99_ratio=tail_ratio(mine, theirs, 99, self.confidence),
            verdict="reference" if name == self.reference else verdict(ratio),
            precise=self.precise(ratio),
            round_ms=tuple(float(f"{self.center(name)(calls):.5g}") for calls in mine),
            by_mean=name in self.branching,
        )


def told(timing: Timing) -> str:
    """One timing for people."""
    ratio = timing.ratio
    if timing.verdict == "reference":
        return f"{timing.p50_ms:.3f} ms"
    wide = "" if timing.precise else ", interval wider than asked for"
    tail = f"; p95 {timing.p95_ms:.3f} ms, {bracketed(timing.p95_ratio)}"
    return f"{timing.p50_ms:.3f} ms, ratio {bracketed(ratio)}: {timing.verdict}{wide}{tail}"


def bracketed(ratio: Interval) -> str:
    """A ratio with its interval."""
    return f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
