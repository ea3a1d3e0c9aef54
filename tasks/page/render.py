"""Fills the templates. One self-contained page: style, script and plotting library are in it, and it loads nothing."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

from pydantic import JsonValue

from tasks.core import artifact
from tasks.core.results import Summary
from tasks.evidence.waterfall import Waterfalls
from tasks.intake.validation import Validation
from tasks.page import again, said
from tasks.page.chart import signed
from tasks.page.checklist import checklist
from tasks.page.drawing import FOLDER, drawing
from tasks.page.gathered import Evidence
from tasks.page.seen import seen
from tasks.plan.schema import Settings

if TYPE_CHECKING:
    from jinja2 import Environment

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
FIGURES = {  # a file of sections/, shown alone: its title, and how the names of its charts begin
    "trade": ("What is traded for what", "scatter"),
    "steps": ("What each step did", "waterfall-"),
    "latencies": ("How latencies are spread", "latencies"),
    "classes": ("Who gained, who lost, by class", "class-changes"),
}


def render(settings: Settings, evidence: Evidence, summary: Summary, waterfalls: Waterfalls) -> str:
    """The HTML page."""
    contents = dict(SECTIONS)
    if not waterfalls.leaves:
        del contents["steps"]
    if summary.reference not in evidence.chosen.worth:
        del contents["worth"]
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            contents=contents,
            checks=checklist(seen(settings, evidence)),
            gates=said.promotable(settings, evidence),
            plan=again.plan_text(settings.plan),
            validation=artifact.read_json(artifact.DATA / "validation.json", Validation),
            **drawing(evidence, summary, waterfalls),
            **said.judged(evidence),
            **said.reckoned(evidence),
        )
    )


def figures(evidence: Evidence, summary: Summary, waterfalls: Waterfalls) -> dict[str, str]:
    """The page's main charts, each a self-contained page by itself: {its file in sections/: HTML}.

    One for which there is nothing to draw, as steps without a second variant, is left out.
    """
    given, template = drawing(evidence, summary, waterfalls), environment().get_template("figure.html.j2")
    pages = {}
    for section, (title, names) in FIGURES.items():
        if own := {name: chart for name, chart in given["charts"].items() if name.startswith(names)}:
            pages[section] = template.render(section=section, title=title, **{**given, "charts": own})
    return pages


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


def plain(value: JsonValue) -> str:
    """A parameter or fact as a person writes it: text as it is, nothing as `none`, the rest as JSON."""
    if isinstance(value, str):
        return value
    return "none" if value in (None, [], {}) else json.dumps(value, ensure_ascii=False)
