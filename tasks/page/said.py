"""What the page says of the choice: verdict, harm, portability, worth, and whether the gates would let it through."""

from __future__ import annotations

from typing import Any

from tasks.core.errors import ArtifactError
from tasks.evidence import gates, verdict
from tasks.evidence.harm import alarms, collapse, sentences
from tasks.page import harm, travel, worth
from tasks.page.gathered import Evidence
from tasks.plan.schema import Settings


def judged(evidence: Evidence) -> dict[str, Any]:
    """The verdict, and who was hurt."""
    chosen, reference = evidence.chosen.variant, evidence.chosen.reference
    mine, theirs = evidence.reports[chosen], evidence.reports[reference]
    size, speed = verdict.size(mine.size_bytes, theirs.size_bytes), verdict.speed(evidence.timings[chosen].ratio)
    return {
        "headline": verdict.headline(chosen, reference, (size, speed), mine.harm),
        "claims": (size, speed, verdict.accuracy(mine, theirs), verdict.worst_class(mine.harm)),
        "alarms": alarms(mine.harm) if chosen != reference else (),
        "harm": sentences(mine.harm)[len(alarms(mine.harm)) :],
        "harms": harm.table(evidence),
        "groups": bool(mine.harm.group_drop),
        "changes": verdict.class_changes(mine, theirs),
        "drops": mine.harm.recall_drop,
        "collapsed": {name: collapse(report.harm) for name, report in evidence.reports.items()},
    }


def reckoned(evidence: Evidence) -> dict[str, Any]:
    """Portability and worth."""
    known = evidence.chosen.worth.get(evidence.chosen.reference)
    return {
        "travel": travel.table(evidence),
        "worth": worth.table(evidence),
        "assumed": worth.assumptions(evidence.plan.choose.worth, known.joules_from if known else "estimate"),
    }


def promotable(settings: Settings, evidence: Evidence) -> tuple[gates.Gate, ...] | str:
    """The gates of promotion.yaml for the chosen variant, or why they cannot be judged."""
    name, reference = evidence.chosen.variant, evidence.chosen.reference
    mine, theirs, money = evidence.reports[name], evidence.reports[reference], evidence.chosen.worth.get(name)
    found = gates.figures(mine, theirs, evidence.timings[name], money)
    try:
        return gates.check(found, settings.promotion.at_most.items(), settings.promotion.at_least.items())
    except ArtifactError as e:
        return str(e)
