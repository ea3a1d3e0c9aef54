"""Rows a second over the batch size."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.core.results import Bench, Timing
from tasks.page.chart import MUTED, Chart, Numbers, plural, to_json

MOST_LINES = 8  # of their own colour


def throughput(bench: Bench, first: Sequence[str]) -> Chart:
    """A line for each variant, engine and thread count; of many, those of the variants in `first` are coloured."""
    import plotly.graph_objects as go

    figure, sweeps = go.Figure(), _sweeps(bench)
    bright = [label for name in first for label in sweeps if label.split(",")[0] == name][:MOST_LINES]
    if len(sweeps) <= MOST_LINES:
        bright = list(sweeps)
    for label, timings in sorted(sweeps.items(), key=lambda each: each[0] in bright):  # the coloured above the others
        pale = {"line": {"color": MUTED, "width": 1}, "opacity": 0.5, "showlegend": False}
        figure.add_scatter(
            name=label,
            x=[str(t.batch) for t in timings],
            y=[t.rows_per_s for t in timings],
            mode="lines+markers",
            **({} if label in bright else pale),
        )
    figure.update_layout(height=420, xaxis={"title": "batch size", "type": "category"}, yaxis_title="rows/s")
    figure.update_yaxes(type="log")
    batches = tuple(dict.fromkeys(t.batch for timings in sweeps.values() for t in timings))
    rows = tuple((label, *(_at(timings, batch) for batch in batches)) for label, timings in sweeps.items())
    best = max((t.rows_per_s, label, t.batch) for label, timings in sweeps.items() for t in timings)
    told = f"{plural(len(sweeps), 'line')}; the most is {best[0]:,.0f} rows a second, {best[1]} at batch {best[2]}"
    columns = ("variant", *(f"batch {batch}, rows/s" for batch in batches))
    return Chart(to_json(figure), f"Throughput over the batch size, {told}", Numbers(columns, rows))


def _sweeps(bench: Bench) -> dict[str, list[Timing]]:
    """The timings of each line, by its name."""
    found: dict[str, list[Timing]] = {}
    for name, timings in bench.timings.items():
        several = len({(t.engine, t.threads) for t in timings}) > 1
        for t in timings:
            label = f"{name}, {t.engine}, {plural(t.threads, 'thread')}" if several else name
            found.setdefault(label, []).append(t)
    return found


def _at(timings: list[Timing], batch: int) -> str:
    return next((f"{t.rows_per_s:,.0f}" for t in timings if t.batch == batch), "–")
