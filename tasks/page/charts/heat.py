"""Heat maps: rows down, columns across, one colour scale; wider than a phone where the columns are many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.page.chart import BAD, CARD, FRONT, LINE

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LOSS_TO_GAIN = ((0, BAD), (0.5, CARD), (1, FRONT))  # red to blue: kept apart by those who do not see green
NONE_TO_MUCH = ((0, CARD), (1, BAD))
Cells = Sequence[Sequence[float | None]]


def heat(
    across: Sequence[str], down: Sequence[str], cells: Cells, scale: Any, limits: tuple[float, float], unit: str
) -> Figure:
    """The figure; `cells` by row, None where nothing was measured."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_heatmap(
        x=list(across),
        y=list(down)[::-1],
        z=[list(row) for row in cells][::-1],
        colorscale=[list(stop) for stop in scale],
        zmin=limits[0],
        zmax=limits[1],
        colorbar={"title": {"text": unit, "side": "right"}, "thickness": 12},
        hovertemplate="%{y}, %{x}: %{z:+.2f}<extra></extra>",
        xgap=1,
        ygap=1,
    )
    names = min(150, 7 * max(len(name) for name in across))  # of the columns, turned up where they are many
    figure.update_layout(height=110 + 24 * len(down) + names, plot_bgcolor=LINE)  # which is seen between the cells
    figure.update_xaxes(type="category", automargin=True, showgrid=False, tickmode="linear")
    figure.update_yaxes(type="category", automargin=True, showgrid=False, tickmode="linear")
    return figure
