"""The page's charts, as Plotly figures: what is drawn is data, the page draws it in its own colours.

A figure names its colours by their part (`INK`, `GOOD`, ...): stand-ins that become `@ink`, `@good` in the JSON, for
which the page puts its CSS variables, in light and in dark. Same evidence, same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tasks.core.results import Bench, Chosen, Evaluation, Summary, Timing
from tasks.evidence.waterfall import Waterfall, Waterfalls

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Plotly wants colours, the page has variables
PARTS = ("ink", "muted", "line", "front", "good", "bad", "card")
INK, MUTED, LINE, FRONT, GOOD, BAD, CARD = (f"#0102{k:02x}" for k in range(len(PARTS)))
SIDES = ("top right", "bottom right", "top left", "bottom left")
MOST_CLASSES, MOST_LAYERS = 40, 60


def to_json(figure: Figure) -> str:
    """Data and layout of a figure for the page, its colours by name."""
    plain = figure.to_plotly_json()
    text: str = json.dumps({"data": plain["data"], "layout": _bare(plain["layout"])}, sort_keys=True, allow_nan=False)
    for part, stand_in in zip(PARTS, (INK, MUTED, LINE, FRONT, GOOD, BAD, CARD), strict=True):
        text = text.replace(stand_in, f"@{part}")
    return text.replace("</", "<\\/")


def _bare(layout: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in layout.items() if key != "template"}


def metrics(summary: Summary, reports: Mapping[str, Evaluation], timings: Mapping[str, Timing], chosen: Chosen) -> Any:
    """{label: value of each variant, in the summary's order} of every axis that the scatter offers."""
    names = [row.variant for row in summary.rows]
    worth = [chosen.worth.get(name) for name in names]
    found: dict[str, list[float]] = {
        "latency p50, ms": [timings[n].p50_ms for n in names],
        "accuracy on test, %": [100 * row.accuracy for row in summary.rows],
        "size, MB": [row.size_bytes / 1e6 for row in summary.rows],
        "latency ratio": [row.latency_ratio.value for row in summary.rows],
        "latency p95, ms": [timings[n].p95_ms for n in names],
        "throughput, rows/s": [timings[n].rows_per_s for n in names],
        "worst class's loss of recall, points": [
            100 * max((drop.value for drop in reports[n].harm.recall_drop.values()), default=0.0) for n in names
        ],
        "parameters": [float(reports[n].parameters) for n in names],
        "MACs": [float(reports[n].macs) for n in names],
    }
    known = [w for w in worth if w is not None]
    if len(known) == len(names):
        found[f"{known[0].currency} per million requests"] = [w.cost_per_million for w in known]
        found["joules per request"] = [w.joules_per_request for w in known]
        found["g CO₂ per million requests"] = [w.grams_co2_per_million for w in known]
    return found


def scatter(summary: Summary, axes: Mapping[str, Sequence[float]]) -> Figure:
    """One point a variant at the first two of `axes`; the page swaps them by the index in `ids`."""
    import plotly.graph_objects as go

    x, y = list(axes)[:2]
    from_left = {k: place for place, k in enumerate(sorted(range(len(summary.rows)), key=lambda k: axes[x][k]))}
    groups = {
        "chosen": (GOOD, "diamond", 16),
        "Pareto front": (FRONT, "circle", 11),
        "other": (MUTED, "circle-open", 10),
    }
    figure = go.Figure()
    for group, (colour, symbol, size) in groups.items():
        mine = [
            k
            for k, row in enumerate(summary.rows)
            if group == ("chosen" if row.chosen else "Pareto front" if row.on_front else "other")
        ]
        figure.add_scatter(
            name=group,
            x=[axes[x][k] for k in mine],
            y=[axes[y][k] for k in mine],
            ids=[str(k) for k in mine],
            text=[summary.rows[k].variant for k in mine],
            mode="markers+text",
            cliponaxis=False,
            textposition=[SIDES[from_left[k] % len(SIDES)] for k in mine],  # neighbours keep their names apart
            marker={"color": colour, "symbol": symbol, "size": size},
            customdata=[_hover(axes, k) for k in mine],
            hovertemplate="<b>%{text}</b><br>%{customdata}<extra></extra>",
        )
    figure.update_layout(xaxis_title=x, yaxis_title=y, height=460, legend={"orientation": "h", "y": 1.12})
    return figure


def _hover(axes: Mapping[str, Sequence[float]], k: int) -> str:
    return "<br>".join(f"{label}: {values[k]:,.4g}" for label, values in axes.items())


def waterfall(found: Waterfalls, part: str) -> Figure:
    """The steps down to every leaf, one trace a leaf, the first shown; `part`: accuracy, size or latency."""
    import plotly.graph_objects as go

    title = {"accuracy": "accuracy on test, %", "size": "size, MB", "latency": "latency ratio"}[part]
    figure, every = go.Figure(), []
    for k, leaf in enumerate(found.leaves):
        values = _values(leaf, part)
        every.append(values)
        steps = [values[0], *(b - a for a, b in pairwise(values)), values[-1]]
        less_is_good = part != "accuracy"
        figure.add_waterfall(
            name=leaf.variant,
            visible=k == 0,
            x=[*(step.variant for step in leaf.steps), "in all"],
            y=steps,
            measure=["absolute", *["relative"] * (len(values) - 1), "total"],
            text=[f"{values[0]:.4g}", *(f"{change:+.3g}" for change in steps[1:-1]), f"{values[-1]:.4g}"],
            textposition="outside",
            cliponaxis=False,
            connector={"line": {"color": LINE}},
            increasing={"marker": {"color": BAD if less_is_good else GOOD}},
            decreasing={"marker": {"color": GOOD if less_is_good else BAD}},
            totals={"marker": {"color": FRONT}},
            hoverinfo="x+text",
        )
    flat = [value for values in every for value in values]
    low, high = min(flat, default=0.0), max(flat, default=1.0)
    room = 0.25 * ((high - low) or abs(high) or 1.0)
    floor = max(0.0, low - room) if part == "accuracy" else -room / 2  # room for what stands below a bar
    figure.update_layout(title={"text": title, "font": {"size": 14}}, height=300, showlegend=False)
    figure.update_yaxes(range=[floor, high + room])
    return figure


def _values(leaf: Waterfall, part: str) -> list[float]:
    if part == "accuracy":
        return [100 * step.accuracy for step in leaf.steps]
    if part == "size":
        return [step.size_bytes / 1e6 for step in leaf.steps]
    return [step.latency_ratio.value for step in leaf.steps]


def latencies(timings: Mapping[str, Timing]) -> Figure:
    """A box a variant, from the percentiles of all calls: 5, 25, 50, 75, 95."""
    import plotly.graph_objects as go

    names = list(timings)[::-1]
    found = [timings[name] for name in names]
    figure = go.Figure()
    figure.add_box(
        y=names,
        orientation="h",
        lowerfence=[t.p5_ms for t in found],
        q1=[t.p25_ms for t in found],
        median=[t.p50_ms for t in found],
        q3=[t.p75_ms for t in found],
        upperfence=[t.p95_ms for t in found],
        line={"color": FRONT},
        fillcolor=CARD,
        name="calls",
    )
    figure.add_scatter(
        x=[t.p99_ms for t in found],
        y=names,
        mode="markers",
        name="p99",
        marker={"color": BAD, "symbol": "line-ns-open"},
    )
    figure.update_layout(height=120 + 30 * len(names), xaxis_title="ms a call", showlegend=False)
    figure.update_yaxes(automargin=True)
    return figure


def throughput(bench: Bench) -> Figure:
    """Rows a second over the batch size, a line for each variant, engine and thread count."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for name, timings in bench.timings.items():
        sweeps = dict.fromkeys((t.engine, t.threads) for t in timings)
        for engine, threads in sweeps:
            mine = [t for t in timings if (t.engine, t.threads) == (engine, threads)]
            label = name if len(sweeps) == 1 else f"{name}, {engine}, {threads} thread{'s' if threads != 1 else ''}"
            figure.add_scatter(
                name=label, x=[str(t.batch) for t in mine], y=[t.rows_per_s for t in mine], mode="lines+markers"
            )
    figure.update_layout(height=420, xaxis={"title": "batch size", "type": "category"}, yaxis_title="rows/s")
    figure.update_yaxes(type="log")
    return figure


def classes(reports: Mapping[str, Evaluation], reference: str) -> Figure:
    """Change of recall in points, variants down, classes across: those that moved most, in the data's order."""
    drops = {name: report.harm.recall_drop for name, report in reports.items() if name != reference}
    every = list(next(iter(drops.values()), {}))
    most = sorted(every, key=lambda c: -max(abs(found[c].value) for found in drops.values()))[:MOST_CLASSES]
    columns = [c for c in every if c in most]
    z = [[-100 * found[c].value for c in columns] for found in drops.values()]
    widest = max((abs(v) for row in z for v in row), default=0.0) or 1.0
    return _heat(columns, list(drops), z, [[0, BAD], [0.5, CARD], [1, GOOD]], (-widest, widest), "points of recall")


def sensitivity(cards: Mapping[str, Mapping[str, Any]]) -> Figure | None:
    """Share of answers that change when one layer alone is quantized; None where no row measured it (`keep_float`)."""
    found = {name: facts["sensitivity"] for name, facts in cards.items() if facts.get("sensitivity")}
    if not found:
        return None
    worst: dict[str, float] = {}
    for ranking in found.values():
        for each in ranking:
            worst[each["layer"]] = max(worst.get(each["layer"], 0.0), each["answers_changed"])
    layers = sorted(worst, key=lambda layer: -worst[layer])[:MOST_LAYERS]
    by_layer = [{each["layer"]: 100 * each["answers_changed"] for each in ranking} for ranking in found.values()]
    z = [[row.get(layer) for layer in layers] for row in by_layer]
    return _heat(layers, list(found), z, [[0, CARD], [1, BAD]], (0.0, None), "% of answers")


def _heat(
    x: list[str], y: list[str], z: Any, scale: Any, limits: tuple[float | None, float | None], unit: str
) -> Figure:
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_heatmap(
        x=x,
        y=y[::-1],
        z=z[::-1],
        colorscale=scale,
        zmin=limits[0],
        zmax=limits[1],
        colorbar={"title": {"text": unit, "side": "right"}, "thickness": 12},
        hovertemplate="%{y}, %{x}: %{z:+.2f}<extra></extra>",
        xgap=1,
        ygap=1,
    )
    figure.update_layout(height=140 + 26 * len(y))
    figure.update_xaxes(type="category", automargin=True)
    figure.update_yaxes(automargin=True)
    return figure
