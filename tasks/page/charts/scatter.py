"""What is traded for what: one point a variant, over any two axes."""

from __future__ import annotations

from typing import Literal

from tasks.page.chart import ABOVE, FRONT, GOOD, INK, MUTED, Chart, Numbers, to_json
from tasks.page.charts.axes import Axes
from tasks.page.gathered import Evidence

Standing = Literal["chosen", "reference", "Pareto front", "other"]
LOOKS: dict[Standing, tuple[str, str, int]] = {  # colour, symbol, size
    "chosen": (GOOD, "diamond", 16),
    "reference": (INK, "square-open", 12),
    "Pareto front": (FRONT, "circle", 11),
    "other": (MUTED, "circle-open", 10),
}
MOST_NAMES = 12  # more would lie over each other: then only the points that a reader looks for are named


def standing(evidence: Evidence, name: str) -> Standing:
    """How a variant is drawn; the chosen one as chosen, also where it is the reference."""
    if name == evidence.chosen.variant:
        return "chosen"
    if name == evidence.chosen.reference:
        return "reference"
    return "Pareto front" if name in evidence.chosen.front else "other"


def scatter(evidence: Evidence, axes: Axes) -> Chart:
    """At the first two of `axes`; the page swaps them by the index in `ids`, and sets the names aside."""
    import plotly.graph_objects as go

    names, (x, y) = list(evidence.reports), list(axes)[:2]
    figure = go.Figure()
    for group, (colour, symbol, size) in LOOKS.items():
        mine = [k for k, name in enumerate(names) if standing(evidence, name) == group]
        named = group != "other" or len(names) <= MOST_NAMES
        figure.add_scatter(
            name=group,
            x=[axes[x][k] for k in mine],
            y=[axes[y][k] for k in mine],
            ids=[str(k) for k in mine],
            text=[names[k] for k in mine],
            mode="markers+text" if named else "markers",
            cliponaxis=False,
            marker={"color": colour, "symbol": symbol, "size": size},
            customdata=[_hover(axes, k) for k in mine],
            hovertemplate="<b>%{text}</b><br>%{customdata}<extra></extra>",
            showlegend=bool(mine),
        )
    figure.update_layout(xaxis_title=x, yaxis_title=y, height=460, legend=ABOVE)
    rows = tuple((name, *(f"{values[k]:,.4g}" for values in axes.values())) for k, name in enumerate(names))
    return Chart(to_json(figure), _label(evidence, axes), Numbers(("variant", *axes), rows))


def _hover(axes: Axes, k: int) -> str:
    return "<br>".join(f"{label}: {values[k]:,.4g}" for label, values in axes.items())


def _label(evidence: Evidence, axes: Axes) -> str:
    names, (x, y) = list(evidence.reports), list(axes)[:2]
    told: list[str] = []
    for name in dict.fromkeys((evidence.chosen.variant, evidence.chosen.reference)):
        k = names.index(name)
        told.append(f"{name} at {axes[x][k]:.4g} and {axes[y][k]:.4g}")
    return f"Scatter of {len(names)} variants over two measurements; {x} and {y}: {'; '.join(told)}"
