"""Fills the templates. One self-contained page: style, script and plotting library are in it, and it loads nothing."""

from __future__ import annotations

import base64
import gzip
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from tasks.core import artifact
from tasks.core.errors import ArtifactError
from tasks.core.results import Summary
from tasks.evidence import gates, verdict
from tasks.evidence.harm import alarms, collapse, sentences
from tasks.evidence.waterfall import Waterfalls
from tasks.intake.validation import Validation
from tasks.page import again, harm, travel, worth
from tasks.page.cautions import cautions
from tasks.page.chart import signed
from tasks.page.charts import drawn
from tasks.page.charts.axes import axes
from tasks.page.checklist import Seen, checklist
from tasks.page.gathered import Evidence
from tasks.plan.schema import Settings

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent
SECTIONS = {  # a file of sections/: its heading, and what the list of contents says
    "variants": ("Every variant", "Variants"),
    "trade": ("What is traded for what", "Trade-offs"),
    "steps": ("What each step did", "Steps"),
    "harm": ("Who gained, who lost", "Harm"),
    "travel": ("Will it travel", "Portability"),
    "sensitivity": ("Which layers are sensitive", "Layers"),
    "certificate": ("Speed-up certificate", "Speed"),
    "worth": ("What it is worth", "Worth"),
    "gates": ("Would it be promoted?", "Gates"),
    "checklist": ("Checklist of a careful compression", "Checklist"),
    "rows": ("Every row in full", "Rows"),
    "data": ("The data", "Data"),
    "again": ("Reproduce it", "Reproduce"),
}


def render(settings: Settings, evidence: Evidence, summary: Summary, waterfalls: Waterfalls) -> str:
    """The HTML page."""
    from markupsafe import Markup

    offered, contents = axes(evidence), dict(SECTIONS)
    within = [evidence.chosen.candidates[name].fits for name in evidence.reports]
    if not waterfalls.leaves:
        del contents["steps"]
    if summary.reference not in evidence.chosen.worth:
        del contents["worth"]
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            e=evidence,
            summary=summary,
            contents=contents,
            waterfalls=waterfalls,
            axes=list(offered),
            axes_json=Markup(json.dumps({"axes": offered, "within": within}).replace("</", "<\\/")),
            charts=drawn(evidence, waterfalls, offered),
            checks=checklist(seen(settings, evidence)),
            gates=promotable(settings, evidence),
            plan=again.plan_text(settings.plan),
            validation=artifact.read_json(artifact.DATA / "validation.json", Validation),
            style=Markup(_text("style.css")),
            script=Markup(_text("page.js")),
            plotly=library(),
            **judged(evidence),
            **reckoned(evidence),
        )
    )


@cache
def environment() -> Environment:
    """Where the templates are, and what they may call."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    found = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"plain": plain, "signed": signed}
    return found


def judged(evidence: Evidence) -> dict[str, Any]:
    """The verdict, and who was hurt."""
    chosen, reference = evidence.chosen.variant, evidence.chosen.reference
    mine, theirs = evidence.reports[chosen], evidence.reports[reference]
    size, speed = verdict.size(mine.size_bytes, theirs.size_bytes), verdict.speed(evidence.timings[chosen].ratio)
    return {
        "headline": verdict.headline(chosen, reference, (size, speed), mine.harm),
        "claims": (size, speed, verdict.accuracy(mine, theirs), verdict.worst_class(mine.harm)),
        "alarms": alarms(mine.harm) if chosen != reference else (),
        "cautions": cautions(evidence),
        "missed": sum(not candidate.fits for candidate in evidence.chosen.candidates.values()),
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


def seen(settings: Settings, evidence: Evidence) -> Seen:
    """What the checklist is filled in from."""
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


@cache
def library() -> str:
    """Plotly, gzip in base64: 2 MB in place of 5; the page unpacks it."""
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()


def plain(value: JsonValue) -> str:
    """A parameter or fact as a person writes it: text as it is, nothing as `none`, the rest as JSON."""
    if isinstance(value, str):
        return value
    return "none" if value in (None, [], {}) else json.dumps(value, ensure_ascii=False)


def _text(name: str) -> str:
    return FOLDER.joinpath(name).read_text(encoding="utf-8")
