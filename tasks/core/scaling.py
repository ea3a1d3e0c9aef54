"""How an architecture tells which of its parameters make it wider or deeper, for the technique `scale`.

A file of tasks/models/ says so in `SCALES`: {"width": Axis(parameter, rule), "depth": Axis(...)}; either may be
left out. Cheap to import: no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, NamedTuple


class Axis(NamedTuple):
    """One parameter of `build`, and `rule(value, factor)`: its value for a network `factor` times as wide or deep."""

    parameter: str
    rule: Callable[[Any, float], Any]


Scales = Mapping[str, Axis]


class Factors(NamedTuple):
    """How many times as wide and as deep a network becomes."""

    width: float
    depth: float


def whole(value: int, factor: float) -> int:
    """A count times the factor: a whole number, at least one."""
    return max(1, round(value * factor))


def wholes(values: tuple[int, ...], factor: float) -> tuple[int, ...]:
    """Each of several counts times the factor."""
    return tuple(whole(value, factor) for value in values)


def multiplier(value: float, factor: float) -> float:
    """A multiplier times the factor, to four digits after the point."""
    return round(value * factor, 4)


def scaled(block: Mapping[str, Any], build: Callable[..., Any], scales: Scales, factors: Factors) -> dict[str, Any]:
    """The `model:` block of a network that is so much wider and deeper.

    A parameter that the block leaves out has `build`'s default. Raises KeyError for an axis of neither name.
    """
    defaults = {name: p.default for name, p in signature(build).parameters.items()}
    out = dict(block)
    for name, axis in scales.items():
        value = block.get(axis.parameter, defaults[axis.parameter])
        out[axis.parameter] = axis.rule(value, {"width": factors.width, "depth": factors.depth}[name])
    return out


def largest(cost: Callable[[float], float], budget: float, *, furthest: float = 16.0, steps: int = 12) -> float | None:
    """The largest phi, to 1 / 2**steps, whose cost is within the budget; None when none of -furthest..furthest is.

    `cost` must not fall as phi grows. It is asked from 0 outward in steps of one, so never far above the budget; the
    result is at most `furthest`.
    """
    phi = 0.0
    while cost(phi) > budget:
        if phi <= -furthest:
            return None
        phi -= 1.0
    while phi < furthest and cost(phi + 1.0) <= budget:
        phi += 1.0
    low, high = phi, phi + 1.0
    if low >= furthest:
        return low
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(middle) <= budget else (low, middle)
    return low
