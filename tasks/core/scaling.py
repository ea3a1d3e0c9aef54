"""How an architecture tells which of its parameters make it wider or deeper, for the technique `scale`.

A file of tasks/models/ says so in `SCALES`: {"width": Axis(parameter, rule), "depth": Axis(...)}; either may be
left out. Cheap to import: no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Axis(NamedTuple):
    """One parameter of `build`, and `rule(value, factor)`: its value for a network `factor` times as wide or deep."""

    parameter: str
    rule: Callable[[Any, float], Any]


Scales = dict[str, Axis]


def whole(value: int, factor: float) -> int:
    """A count times the factor: a whole number, at least one."""
    return max(1, round(value * factor))


def wholes(values: tuple[int, ...], factor: float) -> tuple[int, ...]:
    """Each of several counts times the factor."""
    return tuple(whole(value, factor) for value in values)


def multiplier(value: float, factor: float) -> float:
    """A multiplier times the factor, to four digits after the point."""
    return round(value * factor, 4)
