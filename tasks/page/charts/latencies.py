"""How latencies are spread: of every variant, the percentiles of all timed calls."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.core.results import Timing
from tasks.page.chart import BAD, CARD, FRONT, Chart, Numbers, plural, to_json

SHARES = ("p5", "p25", "p50", "p75", "p95", "p99")


def latencies(timings: Mapping[str, Timing]) -> Chart:
    """A box a variant: 5, 25, 50, 75 and 95 %, and a mark at 99 %."""
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
        marker={"color": BAD, "symbol": "line-ns-open", "size": 9, "line": {"width": 2}},
    )
    figure.update_layout(height=120 + 28 * len(names), xaxis_title="ms a call", showlegend=False)
    figure.update_xaxes(type="log")  # the slowest calls take many times the median
    figure.update_yaxes(automargin=True, type="category", tickmode="linear")
    slowest = max(timings, key=lambda name: timings[name].p99_ms)
    label = f"Boxes of the latency of {plural(len(names), 'variant')}; the slowest 1 % of calls is that of {slowest}, "
    label += f"above {timings[slowest].p99_ms:.3g} ms"
    rows = tuple((name, *(f"{getattr(t, f'{share}_ms'):.4g}" for share in SHARES)) for name, t in timings.items())
    return Chart(to_json(figure), label, Numbers(("variant", *(f"{share}, ms" for share in SHARES)), rows))
