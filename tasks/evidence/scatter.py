"""The Pareto scatter as an inline SVG: latency across, accuracy up, area by size. Same points, same bytes.

Colours are CSS variables of the page that holds it, so one picture is readable in light and in dark; text stays text,
with a title and a description for screen readers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# matplotlib wants colours, the page has variables: stand-ins that are replaced in the finished SVG
INK, MUTED, LINE, FRONT, CHOSEN = "#010203", "#010204", "#010205", "#010206", "#010207"
VARIABLES = {INK: "--ink", MUTED: "--muted", LINE: "--line", FRONT: "--front", CHOSEN: "--good"}
LABEL_GAP_PX = 15.0


class Point(NamedTuple):
    """One variant."""

    name: str
    latency_ms: float
    accuracy: float
    size_bytes: int
    on_front: bool
    chosen: bool


def scatter_svg(points: Sequence[Point], title: str, description: str) -> str:
    """An <svg> element of the points, without a size of its own: it is as wide as its container."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style = {"svg.hashsalt": "stillroom", "svg.fonttype": "none", "font.size": 10, "font.family": "sans-serif"}
    with rc_context(style):
        figure = Figure(figsize=(5.6, 4.0), layout="constrained")
        FigureCanvasSVG(figure)
        _draw(figure.add_subplot(), points)
        out = StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _inline(out.getvalue(), title, description)


def _draw(axes: Axes, points: Sequence[Point]) -> None:
    largest = max(p.size_bytes for p in points)
    for p in points:
        colour = CHOSEN if p.chosen else FRONT if p.on_front else MUTED
        area = 40 + 360 * p.size_bytes / largest
        fill = colour if p.on_front or p.chosen else "none"
        axes.scatter(p.latency_ms, 100 * p.accuracy, area, facecolor=fill, edgecolor=colour, linewidth=1.5, alpha=0.8)
    latencies = [p.latency_ms for p in points]
    if max(latencies) > 10 * min(latencies):
        axes.set_xscale("log")
    axes.margins(x=0.22, y=0.15)
    axes.set_xlabel("latency p50, ms  (left is better)", color=INK)
    axes.set_ylabel("accuracy on test, %  (up is better)", color=INK)
    axes.grid(True, color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, which="both", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.figure.canvas.draw()  # the limits, and with them the places of the labels, are known from here on
    _label(axes, points)


def _label(axes: Axes, points: Sequence[Point]) -> None:
    """Name each point to its right, or to its left in the right half; near labels are moved apart upwards."""
    scale = 72 / axes.figure.dpi
    middle = axes.transAxes.transform((0.55, 0))[0]
    placed: list[tuple[bool, float, float]] = []
    for p in sorted(points, key=lambda p: (p.accuracy, -p.latency_ms, p.name)):
        x, y = axes.transData.transform((p.latency_ms, 100 * p.accuracy))
        left, want = bool(x > middle), float(y)
        for side, other_x, other_y in placed:
            if side == left and abs(other_x - x) < 130 and abs(other_y - want) < LABEL_GAP_PX:
                want = other_y + LABEL_GAP_PX
        placed.append((left, float(x), want))
        axes.annotate(
            p.name,
            (p.latency_ms, 100 * p.accuracy),
            xytext=((-14 if left else 14), (want - float(y)) * scale),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            color=INK,
            weight="bold" if p.chosen else "normal",
        )


def _inline(svg: str, title: str, description: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for stand_in, variable in VARIABLES.items():
        svg = svg.replace(stand_in, f"var({variable})")
    svg = re.sub(r"font: (\d*) ?([\d.]+px) [^;\"]*", _plain_font, svg)
    head, body = svg.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    names = f"<title id='scatter-title'>{escape(title)}</title><desc id='scatter-desc'>{escape(description)}</desc>"
    return f"{head} role='img' aria-labelledby='scatter-title scatter-desc'>{names}{body}"


def _plain_font(match: re.Match[str]) -> Any:
    """The page's own typeface instead of matplotlib's list, which holds quotes and names that a reader lacks."""
    return f"font: {match[1]} {match[2]} system-ui, sans-serif".replace("  ", " ")
