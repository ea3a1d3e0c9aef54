"""What the checklist is made of: its points, and all that they are filled in from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from tasks.core.contract import Card
from tasks.core.results import Bench, Evaluation, Timing
from tasks.page.gathered import Evidence
from tasks.plan.schema import Rollout, Settings

State = Literal["done", "open"]


class Item(NamedTuple):
    """One point of the list: whether it holds, and by what."""

    title: str
    state: State
    because: str


class Seen(NamedTuple):
    """All that the list is filled in from."""

    reference: str
    chosen: str
    cards: Mapping[str, Card]
    reports: Mapping[str, Evaluation]
    timings: Mapping[str, Timing]
    bench: Bench
    accuracy_drop: float | None  # the budget's bound, if it has one
    rollout: Rollout
    cron: str


def seen(settings: Settings, evidence: Evidence) -> Seen:
    """Out of the settings and the evidence."""
    return Seen(
        reference=evidence.chosen.reference,
        chosen=evidence.chosen.variant,
        cards=evidence.cards,
        reports=evidence.reports,
        timings=evidence.timings,
        bench=evidence.bench,
        accuracy_drop=settings.plan.choose.at_most.get("accuracy_drop"),
        rollout=settings.rollout,
        cron=settings.schedule.cron,
    )
