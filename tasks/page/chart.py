"""A chart of the page: a Plotly figure, its sentence for who does not see it, and its numbers as a table.

A figure names its colours by their part (`INK`, `GOOD`, ...): stand-ins that become `@ink`, `@good` in the JSON, for
which the page puts its CSS variables, in light and in dark. Same evidence, same bytes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Plotly wants colours, the page has variables
PARTS = ("ink", "muted", "line", "front", "good", "bad", "card")
INK, MUTED, LINE, FRONT, GOOD, BAD, CARD = STAND_INS = tuple(f"#0102{k:02x}" for k in range(len(PARTS)))
ABOVE = {"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0}  # a legend's place


class Numbers(NamedTuple):
    """A table: the first cell of a row names it."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Chart(NamedTuple):
    """A figure as JSON, the sentence that stands for it, and what is drawn in numbers."""

    figure: str
    label: str
    numbers: Numbers


def to_json(figure: Figure) -> str:
    """Data and layout of a figure for the page, its colours by name."""
    plain = figure.to_plotly_json()
    layout = {key: value for key, value in plain["layout"].items() if key != "template"}
    text: str = json.dumps({"data": plain["data"], "layout": layout}, sort_keys=True, allow_nan=False)
    for part, stand_in in zip(PARTS, STAND_INS, strict=True):
        text = text.replace(stand_in, f"@{part}")
    return text.replace("</", "<\\/")


def signed(value: float, digits: int = 2) -> str:
    """`+0.25`, `-1.00`; what rounds to nothing has no sign: `0.00`."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text


def plural(count: int, noun: str) -> str:
    """`1 variant`, `6 variants`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
