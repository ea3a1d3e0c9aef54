"""Which layers of a chain make a stage that a row may leave early (tasks/core/halting.py), and the network made of it.

Shapes: N = rows, F = features, C = channels.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from tasks.core.halting import AdaptiveNet, AdaptiveStage, Halt
from tasks.core.layers import Residual, Sum


def stages(chain: nn.Sequential, x: Tensor) -> list[list[str]]:
    """Names of the consecutive residual units of `chain` (an input of which is `x`) that give one shape.

    A unit that changes the shape opens a stage, of which it is a part. Units of (N, F) or (N, C, H, W) alone.
    """
    found: list[list[str]] = []
    within = False
    with torch.no_grad():
        for name, layer in chain.named_children():
            shape, x = x.shape, layer(x)
            unit = isinstance(layer, Residual | Sum) and x.dim() in (2, 4)
            if unit and within and x.shape == shape:
                found[-1].append(name)
            elif unit:
                found.append([name])
            within = unit
    return found


def adaptive(front: nn.Module, chain: nn.Sequential, x: Tensor, chosen: list[list[str]], epsilon: float) -> AdaptiveNet:
    """A copy of the network with the units of `chosen` as stages, untrained halting scores among them.

    `x` is an input of the chain.
    """
    layers = nn.Sequential()
    stage_of = {name: units for units in chosen for name in units}
    with torch.no_grad():
        for name, layer in copy.deepcopy(chain).named_children():
            x = layer(x)
            if name not in stage_of:
                layers.add_module(name, layer)
            elif name == stage_of[name][0]:
                stage = AdaptiveStage([layer], [], epsilon)
                layers.add_module(name, stage)
            else:
                stage.halts.append(Halt(x.shape[1]))
                stage.units.append(layer)
    return AdaptiveNet(copy.deepcopy(front), layers)
