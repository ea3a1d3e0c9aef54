"""How many units each part of a network keeps, when a share of all must go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor


class Goal(NamedTuple):
    """What a part is to lose: `share` of its `units` at the start, in multiples of `step`.

    Parts of one `pool` are ranked together and share the loss; a part without a pool loses its own share.
    """

    units: int
    share: float
    step: int
    pool: str | None = None


def kept(units: int, share: float, step: int) -> int:
    """The multiple of `step` nearest to units x (1 - share): at least one multiple, at most all units.

    Of two equally near ones the larger. A part with fewer units than `step`, or that is to lose nothing, keeps all.
    """
    return units if share == 0 else nearest_multiple(units * (1 - share), units, step)


def nearest_multiple(wanted: float, units: int, step: int) -> int:
    """The multiple of `step` nearest to `wanted`: at least one, and at most `units`."""
    return min(units, max(1, int(wanted / step + 0.5)) * step)


def share_after(share: float, done: int, rounds: int) -> float:
    """The share that is gone after `done` of `rounds`, each taking the same share of what is left."""
    stays: float = (1.0 - share) ** (done / rounds)
    return 1.0 - stays


def allocate(goals: Mapping[str, Goal], scores: Mapping[str, Tensor]) -> dict[str, int]:
    """{part: units to keep}, by the scores (units at hand,) of every part; never more than there are at hand."""
    out = {name: kept(goal.units, goal.share, goal.step) for name, goal in goals.items() if goal.pool is None}
    for pool in dict.fromkeys(goal.pool for goal in goals.values() if goal.pool is not None):
        members = [name for name, goal in goals.items() if goal.pool == pool]
        stay = round(sum(goals[name].units * (1 - goals[name].share) for name in members))
        every = torch.cat([scores[name] for name in members])
        owner = torch.cat([torch.full((len(scores[name]),), k) for k, name in enumerate(members)])
        best = owner[torch.argsort(every, descending=True, stable=True)[:stay]]
        counts = torch.bincount(best, minlength=len(members)).tolist()
        for name, count in zip(members, counts, strict=True):
            goal = goals[name]
            out[name] = count if count == goal.units else nearest_multiple(count, goal.units, goal.step)
    return {name: min(out[name], len(scores[name])) for name in goals}
