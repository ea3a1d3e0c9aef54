"""Where rows leave a network whose work depends on the row, and what that comes to: for `stillroom explain`."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from pydantic import Field, JsonValue

from tasks.core import artifact
from tasks.core.frozen import Frozen
from tasks.core.points import Point
from tasks.core.results import Bench


class Place(Frozen):
    """Where some rows leave: an exit or the end, or, of a stage of adaptive units, after how many of them."""

    name: str
    share: float = Field(description="of the rows of val")
    accuracy: float | None = Field(description="on val, of this exit alone, for all rows; null: it gives no answer")
    macs: int | None = Field(description="that a row costs which leaves here; null: it goes on to other stages")


class Leaving(Frozen):
    """The histogram, in the order in which rows pass the places, and what a row costs in the mean."""

    places: tuple[Place, ...]
    macs_expected: int = Field(description="a row, in the mean over val")
    macs_before: int = Field(description="a row, in the parent")
    mean_ms: float | None = Field(description="measured: a call of the plan's first batch, on real rows; null: not yet")

    @property
    def work(self) -> float:
        """The expected work as a share of the parent's."""
        return self.macs_expected / self.macs_before


def leaving(variant: str, facts: Mapping[str, JsonValue], first: Point | None) -> Leaving | None:
    """From the facts of a card, the benchmark's mean at `first`, if asked for; None where all rows cost the same."""
    if not (places := _exits(facts) or _units(facts)):
        return None
    known: Any = facts
    return Leaving(
        places=places,
        macs_expected=known["macs_expected"],
        macs_before=known["macs_before"],
        mean_ms=mean_ms(variant, first) if first else None,
    )


def _exits(facts: Mapping[str, Any]) -> tuple[Place, ...]:
    """Of `early_exit`; exits that no row may leave at are not in the graph."""
    accuracy, macs = facts.get("exit_accuracy", {}), facts.get("exit_macs", {})
    shares = facts.get("exit_share", {})
    return tuple(Place(name=n, share=shares[n], accuracy=accuracy.get(n), macs=m) for n, m in _ordered(macs, shares))


def _ordered(macs: Mapping[str, int], shares: Mapping[str, float]) -> list[tuple[str, int]]:
    """(exit, MACs) in the order in which a row passes them: a card's keys are sorted by name."""
    return sorted(((name, macs[name]) for name in shares), key=lambda each: each[1])


def _units(facts: Mapping[str, Any]) -> tuple[Place, ...]:
    """Of `act`: of each stage, the share of rows that compute 1, 2, ... of its units."""
    return tuple(
        Place(name=f"stage {stage}, {k} of {len(shares)} units", share=share, accuracy=None, macs=None)
        for stage, shares in facts.get("share_by_units", {}).items()
        for k, share in enumerate(shares, 1)
    )


def mean_ms(variant: str, first: Point) -> float | None:
    """The mean latency of a call, in the median over rounds; None where the benchmark has none."""
    if not artifact.BENCH.exists():
        return None
    timings = artifact.read_json(artifact.BENCH, Bench).timings.get(variant, ())
    return next((median(t.round_ms) for t in timings if t.point == first and t.by_mean and t.round_ms), None)


def told(found: Leaving) -> str:
    """What a row costs in the mean, in one line."""
    work = f"{found.macs_expected / 1e6:,.3f} of {found.macs_before / 1e6:,.3f} million MACs a row ({found.work:.0%})"
    return f"expected work {work}" + (
        "" if found.mean_ms is None else f"; a call takes {found.mean_ms:.4g} ms in the mean"
    )
