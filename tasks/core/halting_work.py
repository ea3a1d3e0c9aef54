"""What a network with adaptive stages costs, and how far rows go in it. Shapes: N = rows, L = units of a stage."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import JsonValue
from torch import Tensor

from tasks.core.arrays import batches
from tasks.core.contract import Split
from tasks.core.halting import AdaptiveNet, AdaptiveStage
from tasks.core.shape import count_macs


def work(net: AdaptiveNet, raw: Tensor) -> tuple[int, list[list[int]]]:
    """MACs of what every row computes, and of each unit with its halting score, by stage."""
    fixed = 0
    costs: list[list[int]] = []
    with torch.no_grad():
        x = net.front(raw)
        for layer in net.layers:
            if not isinstance(layer, AdaptiveStage):
                fixed += count_macs(layer, (x,))
                x = layer(x)
                continue
            costs.append([])
            at = x
            for unit, halt in zip(layer.units, [*layer.halts, None], strict=True):
                own = count_macs(unit, (at,))
                at = unit(at)
                costs[-1].append(own + (0 if halt is None else count_macs(halt, (at,))))
            x = layer(x)
    return fixed, costs


def scores_of(net: AdaptiveNet, split: Split) -> list[Tensor]:
    """The halting scores (N, L) of all rows of `split`, by stage."""
    seen: list[list[Tensor]] = []
    with torch.no_grad():
        for inputs, _ in batches(split, 256):
            seen.append(net.eval().scored(*(torch.tensor(rows) for rows in inputs.values()))[1])
    return [torch.cat(stage) for stage in zip(*seen, strict=True)]


def mean_work(units: Sequence[Tensor], fixed: int, costs: list[list[int]]) -> float:
    """MACs of the mean row, from the units (N,) computed in each stage and what `work` gives."""
    reached = [
        float((units_N > k).float().mean()) * macs
        for units_N, own in zip(units, costs, strict=True)
        for k, macs in enumerate(own)
    ]
    return fixed + sum(reached)


def histogram(units_N: Tensor, most: int) -> list[JsonValue]:
    """Share of the rows that computed 1, 2, ... `most` units."""
    return [round(float((units_N == k + 1).float().mean()), 6) for k in range(most)]
