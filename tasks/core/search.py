"""Finding how much to prune, when what is asked for is a cost: multiply-accumulates, or measured time."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Found(NamedTuple):
    """The least `ratio` that is cheap enough, its `cost`, and every (ratio, cost) that was tried, in order."""

    ratio: float
    cost: float
    tried: tuple[tuple[float, float], ...]


def least(cost: Callable[[float], float], target: float, steps: int) -> Found | None:
    """The least ratio between 0 and 1 with cost(ratio) <= target, to within 2**-steps; None when even 1 costs more.

    `cost` should fall with the ratio; it is asked at most steps + 2 times. With a noisy one, the result still is a
    ratio whose cost was found to be within the target.
    """
    tried: list[tuple[float, float]] = []

    def fits(ratio: float) -> bool:
        tried.append((ratio, cost(ratio)))
        return tried[-1][1] <= target

    if fits(0.0):
        return Found(*tried[-1], tuple(tried))
    if not fits(1.0):
        return None
    best, low = tried[-1], 0.0
    for _ in range(steps):
        middle = (low + best[0]) / 2
        if fits(middle):
            best = tried[-1]
        else:
            low = middle
    return Found(*best, tuple(tried))
