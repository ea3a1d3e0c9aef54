"""Networks with norms that matter, and what they can shrink to; for the tests of `slim` and `subnet`."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tasks.core.contract import Network
from tasks.core.elastic import elastic_kernels
from tasks.core.elasticity import Elasticity
from tasks.core.shape import build_like
from tasks.core.supernet import Space
from tests.unit import tiny

RESNET = {"arch": "resnet", "depth": 14, "width": 4}
RESNET9 = {"arch": "resnet9", "width": 4}
EVERY = (tiny.CNN, RESNET, RESNET9, tiny.MLP)


def untrained(block: dict[str, Any], seed: int = 0) -> Network:
    """Random weights, and norms that shift and scale, so that a channel too many cannot hide."""
    torch.manual_seed(seed)
    network = build_like(block, tiny.pictures())
    for layer in network.module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1, 0.3)
            for tensor in (layer.bias, layer.running_mean):
                nn.init.normal_(tensor)  # type: ignore[arg-type]
            nn.init.uniform_(layer.running_var, 0.5, 2)  # type: ignore[arg-type]
    return network


def space_for(network: Network, *, depths: bool = True) -> Space:
    """Widths 1, 1/2 and 1/4, kernels 3 and 1, and every depth where there are blocks to skip."""
    arch = network.arch["arch"]
    every = (1.0, 0.5, 0.0) if depths and str(arch).startswith("resnet") else (1.0,)
    kernels = {} if arch == "mlp" else elastic_kernels(network.module, [1])
    return Elasticity(widths=(1.0, 0.5, 0.25), depths=every, kernels=kernels).space(network, tiny.pictures())
