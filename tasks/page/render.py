"""Fills the template. One self-contained page: style, script and plotting library are in it, and it loads nothing."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import JsonValue

from tasks.core import artifact
from tasks.core.results import Summary
from tasks.evidence import charts, verdict
from tasks.evidence.checklist import Seen, checklist
from tasks.evidence.harm import sentences
from tasks.evidence.waterfall import Waterfalls
from tasks.intake.validation import Validation
from tasks.page.gathered import Evidence
from tasks.plan.schema import Settings

FOLDER = Path(__file__).parent
ALARMS = ("Collapse", "Hurt")


def render(settings: Settings, evidence: Evidence, summary: Summary, waterfalls: Waterfalls) -> str:
    """The HTML page."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    mine, reference = evidence.reports[summary.chosen], evidence.reports[summary.reference]
    harm = sentences(mine.harm)
    claims = (
        verdict.size(mine.size_bytes, reference.size_bytes),
        verdict.speed(evidence.timings[summary.chosen].ratio),
        verdict.accuracy(mine.test, reference.test),
    )
    axes = charts.metrics(summary, evidence.reports, evidence.timings, evidence.chosen)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["plain"] = plain
    return environment.from_string(_text("report.html.j2")).render(
        e=evidence,
        summary=summary,
        claims=claims,
        changes=verdict.class_changes(mine, reference),
        harm=harm,
        alarms=[told for told in harm if told.startswith(ALARMS)],
        drops=mine.harm.recall_drop,
        drops_by_group=mine.harm.group_drop,
        waterfalls=waterfalls,
        axes=list(axes),
        axes_json=Markup(json.dumps(axes).replace("</", "<\\/")),
        charts={name: Markup(text) for name, text in drawn(evidence, summary, waterfalls, axes).items()},
        checks=checklist(seen(settings, evidence, summary)),
        validation=artifact.read_json(artifact.DATA / "validation.json", Validation),
        style=Markup(_text("style.css")),
        script=Markup(_text("charts.js")),
        plotly=Markup(get_plotlyjs()),
    )


def drawn(evidence: Evidence, summary: Summary, waterfalls: Waterfalls, axes: dict[str, list[float]]) -> dict[str, str]:
    """Every chart that there is something to draw for, as JSON, by its place in the page."""
    figures = {"scatter": charts.scatter(summary, axes), "latencies": charts.latencies(evidence.timings)}
    if waterfalls.leaves:
        figures |= {f"waterfall-{part}": charts.waterfall(waterfalls, part) for part in ("accuracy", "size", "latency")}
    if len(evidence.plan.bench.batch) > 1:
        figures["throughput"] = charts.throughput(evidence.bench)
    if len(evidence.reports) > 1:
        figures["class-changes"] = charts.classes(evidence.reports, summary.reference)
    sensitivity = charts.sensitivity({name: card.facts for name, card in evidence.cards.items()})
    if sensitivity is not None:
        figures["sensitivity"] = sensitivity
    return {name: charts.to_json(figure) for name, figure in figures.items()}


def seen(settings: Settings, evidence: Evidence, summary: Summary) -> Seen:
    """What the checklist is filled in from."""
    return Seen(
        reference=summary.reference,
        chosen=summary.chosen,
        cards=evidence.cards,
        reports=evidence.reports,
        timings=evidence.timings,
        bench=evidence.bench,
        accuracy_drop=settings.plan.choose.at_most.get("accuracy_drop"),
        treatment_share=settings.rollout.treatment_share,
        cron=settings.schedule.cron,
    )


def plain(value: JsonValue) -> str:
    """A parameter or fact as a person writes it: text as it is, nothing as `none`, the rest as JSON."""
    if isinstance(value, str):
        return value
    return "none" if value in (None, [], {}) else json.dumps(value, ensure_ascii=False)


def _text(name: str) -> str:
    return FOLDER.joinpath(name).read_text(encoding="utf-8")
