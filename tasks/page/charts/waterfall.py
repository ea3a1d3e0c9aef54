"""What each step did: from the reference down to a leaf of the tree, in accuracy, size and latency.

Bars hang where the step before them ended. A whisker is the 95 % interval of where a step ends, against the reference:
of accuracy, the paired one.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal, NamedTuple

from tasks.core.findings import Interval
from tasks.core.results import Evaluation
from tasks.evidence.waterfall import Step, Waterfall, Waterfalls
from tasks.page.chart import BAD, FRONT, GOOD, INK, Chart, Numbers, signed, to_json

Part = Literal["accuracy", "size", "latency"]
PARTS: tuple[Part, ...] = ("accuracy", "size", "latency")
TITLES = {"accuracy": "accuracy on test, %", "size": "size, MB", "latency": "latency ratio"}


class Level(NamedTuple):
    """Where a step ended, and how far below and above it may truly be (0: it is known exactly)."""

    value: float
    below: float = 0.0
    above: float = 0.0


def waterfall(found: Waterfalls, reports: Mapping[str, Evaluation], part: Part) -> Chart:
    """One trace a leaf, the first shown; the page shows the one that is picked."""
    import plotly.graph_objects as go

    figure = go.Figure()
    every = [[_level(step, reports[step.variant], part) for step in leaf.steps] for leaf in found.leaves]
    for k, (leaf, levels) in enumerate(zip(found.leaves, every, strict=True)):
        values = [level.value for level in levels]
        changes = [b - a for a, b in pairwise(values)]
        whiskers = [*levels, Level(values[-1])]
        figure.add_bar(
            name=leaf.variant,
            visible=k == 0,
            x=[*(step.variant for step in leaf.steps), "in all"],
            base=[0.0, *values[:-1], 0.0],
            y=[values[0], *changes, values[-1]],
            marker={"color": [FRONT, *(_colour(change, part) for change in changes), FRONT]},
            error_y={
                "array": [w.above for w in whiskers],
                "arrayminus": [w.below for w in whiskers],
                "color": INK,
                "thickness": 1.5,
                "width": 0,
                "visible": part != "size",
            },
            hoverinfo="skip",
        )
        starts = [0.0, *values[:-1], 0.0]
        figure.add_scatter(  # the change of each step, above its bar and whisker
            name=leaf.variant,
            visible=k == 0,
            mode="text",
            x=[*(step.variant for step in leaf.steps), "in all"],
            y=[max(start, w.value + w.above) for start, w in zip(starts, whiskers, strict=True)],
            text=[f"{values[0]:.4g}", *(f"{change:+.3g}" for change in changes), f"{values[-1]:.4g}"],
            textposition="top center",
            cliponaxis=False,
            hoverinfo="x+text",
        )
    figure.update_layout(title={"text": TITLES[part], "font": {"size": 14}}, height=320, showlegend=False)
    rooms = {leaf.variant: _room(levels, part) for leaf, levels in zip(found.leaves, every, strict=True)}
    figure.update_layout(meta={"range": rooms})
    rows = tuple(row for leaf, levels in zip(found.leaves, every, strict=True) for row in _rows(leaf, levels, part))
    columns = ("way to", "step", TITLES[part], "95 % interval", "change", "95 % interval of the change")
    ends = (
        f"{leaf.variant} {levels[0].value:.4g} to {levels[-1].value:.4g}"
        for leaf, levels in zip(found.leaves, every, strict=True)
    )
    return Chart(to_json(figure), f"Waterfall of {TITLES[part]}: {'; '.join(ends)}", Numbers(columns, rows))


def _level(step: Step, report: Evaluation, part: Part) -> Level:
    if part == "size":
        return Level(step.size_bytes / 1e6)
    if part == "latency":
        ratio = step.latency_ratio
        return Level(ratio.value, ratio.value - ratio.low, ratio.high - ratio.value)
    drop: Interval = report.harm.accuracy_drop
    return Level(100 * step.accuracy, 100 * (drop.high - drop.value), 100 * (drop.value - drop.low))


def _colour(change: float, part: Part) -> str:
    return GOOD if (change > 0) == (part == "accuracy") else BAD


def _room(levels: list[Level], part: Part) -> list[float]:
    """The range of the axis, with room for what stands above and below a bar; accuracy does not begin at 0."""
    low, high = min(level.value - level.below for level in levels), max(level.value + level.above for level in levels)
    room = 0.2 * ((high - low) or abs(high) or 1.0)
    return [max(0.0, low - room) if part == "accuracy" else 0.0, high + room]


def _rows(leaf: Waterfall, levels: list[Level], part: Part) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for k, (step, level) in enumerate(zip(leaf.steps, levels, strict=True)):
        interval = f"{level.value - level.below:.4g} to {level.value + level.above:.4g}" if part != "size" else "exact"
        change = f"{level.value - levels[k - 1].value:+.4g}" if k else "–"
        rows.append((leaf.variant, step.variant, f"{level.value:.4g}", interval, change, _sure(step, part)))
    return rows


def _sure(step: Step, part: Part) -> str:
    """The interval of what a step alone changed: points of accuracy; of latency, as a ratio to the step before."""
    if step.change is None:
        return "–"
    if part == "size":
        return "exact"
    if part == "accuracy":
        return (
            f"{signed(100 * step.change.accuracy_interval.low)} to {signed(100 * step.change.accuracy_interval.high)}"
        )
    return f"{step.change.latency.low:.3f}× to {step.change.latency.high:.3f}× of the one before"
