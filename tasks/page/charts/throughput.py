"""Rows a second over the batch size, or over the number of threads where that alone was swept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tasks.core.results import Bench, Timing
from tasks.page.chart import MUTED, Chart, Numbers, plural, to_json

Over = Literal["batch", "threads"]
TITLES: dict[Over, str] = {"batch": "batch size", "threads": "number of threads"}
MOST_LINES = 8  # of their own colour


def throughput(bench: Bench, first: Sequence[str]) -> Chart:
    """A line for each variant, engine and thread count; of many, those of the variants in `first` are coloured."""
    import plotly.graph_objects as go

    over = swept(bench)
    figure, sweeps = go.Figure(), _sweeps(bench, over)
    bright = [label for name in first for label in sweeps if label.split(",")[0] == name][:MOST_LINES]
    if len(sweeps) <= MOST_LINES:
        bright = list(sweeps)
    for label, timings in sorted(sweeps.items(), key=lambda each: each[0] in bright):  # the coloured above the others
        pale = {"line": {"color": MUTED, "width": 1}, "opacity": 0.5, "showlegend": False}
        figure.add_scatter(
            name=label,
            x=[str(getattr(t, over)) for t in timings],
            y=[t.rows_per_s for t in timings],
            mode="lines+markers",
            **({} if label in bright else pale),
        )
    figure.update_layout(height=420, xaxis={"title": TITLES[over], "type": "category"}, yaxis_title="rows/s")
    figure.update_yaxes(type="log")
    places = tuple(dict.fromkeys(getattr(t, over) for timings in sweeps.values() for t in timings))
    rows = tuple((label, *(_at(timings, over, place) for place in places)) for label, timings in sweeps.items())
    best = max((t.rows_per_s, label, getattr(t, over)) for label, timings in sweeps.items() for t in timings)
    told = f"{plural(len(sweeps), 'line')}; the most is {best[0]:,.0f} rows a second, {best[1]} at {over} {best[2]}"
    columns = ("variant", *(f"{over} {place}, rows/s" for place in places))
    return Chart(to_json(figure), f"Throughput over the {TITLES[over]}, {told}", Numbers(columns, rows))


def swept(bench: Bench) -> Over:
    """What the lines go over."""
    return "batch" if len({t.batch for timings in bench.timings.values() for t in timings}) > 1 else "threads"


def _sweeps(bench: Bench, over: Over) -> dict[str, list[Timing]]:
    """The timings of each line, by its name."""
    found: dict[str, list[Timing]] = {}
    for name, timings in bench.timings.items():
        for t in timings:
            apart = (t.engine, plural(t.threads, "thread")) if over == "batch" else (t.engine,)
            several = len({(s.engine, s.threads if over == "batch" else 0) for s in timings}) > 1
            found.setdefault(", ".join((name, *apart)) if several else name, []).append(t)
    return found


def _at(timings: list[Timing], over: Over, place: int) -> str:
    return next((f"{t.rows_per_s:,.0f}" for t in timings if getattr(t, over) == place), "–")
