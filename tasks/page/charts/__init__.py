"""The page's charts, one file each; `drawn` has every one that there is something to draw for."""

from __future__ import annotations

from tasks.evidence.waterfall import Waterfalls
from tasks.page.chart import Chart
from tasks.page.charts.axes import Axes
from tasks.page.charts.class_changes import class_changes
from tasks.page.charts.group_changes import group_changes
from tasks.page.charts.latencies import latencies
from tasks.page.charts.scatter import scatter
from tasks.page.charts.sensitivity import sensitivity
from tasks.page.charts.throughput import throughput
from tasks.page.charts.waterfall import PARTS, waterfall
from tasks.page.gathered import Evidence


def drawn(evidence: Evidence, waterfalls: Waterfalls, axes: Axes) -> dict[str, Chart]:
    """By their place in the page."""
    reports, reference = evidence.reports, evidence.chosen.reference
    first = tuple(dict.fromkeys((evidence.chosen.variant, reference, *evidence.chosen.front)))
    found: dict[str, Chart | None] = {
        "scatter": scatter(evidence, axes),
        "latencies": latencies(evidence.timings),
        "class-changes": class_changes(reports, reference),
        "group-changes": group_changes(reports, reference, first),
        "sensitivity": sensitivity({name: card.facts for name, card in evidence.cards.items()}),
    }
    if waterfalls.leaves:
        found |= {f"waterfall-{part}": waterfall(waterfalls, reports, part) for part in PARTS}
    if max(len(evidence.plan.bench.batch), len(evidence.plan.bench.threads)) > 1:
        found["throughput"] = throughput(evidence.bench, first)
    return {name: chart for name, chart in found.items() if chart is not None}
