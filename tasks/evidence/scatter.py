"""The Pareto scatter as an inline SVG: latency across, accuracy up, area by size. Same points, same bytes.

Colours are CSS variables of the page that holds it, so one picture is readable in light and in dark; text stays text,
with a title and a description for screen readers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# matplotlib wants colours, the page has variables: stand-ins that are replaced in the finished SVG
INK, MUTED, LINE, FRONT, CHOSEN = "#010203", "#010204", "#010205", "#010206", "#010207"
VARIABLES = {INK: "--ink", MUTED: "--muted", LINE: "--line", FRONT: "--front", CHOSEN: "--good"}
LINE_PT = 11.0  # from one name to the next above it


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
        figure = Figure(figsize=(10, 4.2), layout="constrained")
        FigureCanvasSVG(figure)
        _draw(figure.add_subplot(), points)
        out = StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _inline(out.getvalue(), title, description)


def _draw(axes: Axes, points: Sequence[Point]) -> None:
    for p in points:
        colour = CHOSEN if p.chosen else FRONT if p.on_front else MUTED
        fill = colour if p.on_front or p.chosen else "none"
        axes.scatter(
            p.latency_ms, 100 * p.accuracy, _area(p, points), facecolor=fill, edgecolor=colour, linewidth=1.5, alpha=0.8
        )
    latencies = [p.latency_ms for p in points]
    if max(latencies) > 10 * min(latencies):
        axes.set_xscale("log")
    axes.margins(x=0.12, y=0.2)
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
    """Name each point at the first spot near it where the name lies on no other name or marker."""
    pixels = axes.figure.dpi / 72
    taken: list[tuple[float, ...]] = []
    for p in points:
        x, y = axes.transData.transform((p.latency_ms, 100 * p.accuracy))
        reach = pixels * _diameter_pt(p, points) / 2
        taken.append((x - reach, y - reach, x + reach, y + reach))
    for p in sorted(points, key=lambda p: (not p.chosen, p.latency_ms, p.name)):
        point = (p.latency_ms, 100 * p.accuracy)
        weight = "bold" if p.chosen else "normal"
        for right, up, side, led in _spots(_diameter_pt(p, points) / 2):
            at: dict[str, Any] = {"xytext": (right, up), "textcoords": "offset points"}
            name = axes.annotate(p.name, point, **at, ha=side, va="center", color=INK, weight=weight)
            box = name.get_window_extent().padded(1)
            if axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 and not any(_overlap(box.extents, b) for b in taken):
                taken.append(tuple(box.extents))
                if led:
                    line = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3}
                    axes.annotate("", point, **at, arrowprops=line)
                break
            name.remove()  # in a crowd without a free spot the name is left out: the table above has it


def _overlap(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether two boxes, each left, bottom, right, top, share any ground."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _diameter_pt(p: Point, points: Sequence[Point]) -> float:
    """How wide a point's marker is drawn."""
    return math.sqrt(_area(p, points))


def _area(p: Point, points: Sequence[Point]) -> float:
    """Of a marker, in square points; grows with the file."""
    return 40 + 360 * p.size_bytes / max(other.size_bytes for other in points)


def _spots(radius: float) -> Iterator[tuple[float, float, Literal["left", "right", "center"], bool]]:
    """Where a name may stand, best first: points to the right, points up, which side is fixed, whether a line leads."""
    yield radius + 5, 0, "left", False
    yield -radius - 5, 0, "right", False
    yield 0, radius + 8, "center", False
    yield 0, -radius - 8, "center", False
    for lines in range(2, 7):
        for up in (LINE_PT * lines, -LINE_PT * lines):
            yield radius + 5, up, "left", True
            yield -radius - 5, up, "right", True


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
