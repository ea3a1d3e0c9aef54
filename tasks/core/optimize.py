"""The optimizer and the step size over time.

The cosine is from Loshchilov & Hutter, *SGDR*, 2016 (arXiv:1608.03983), the warm-up from Goyal et al. 2017
(arXiv:1706.02677).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from tasks.core.recipe import FitParams


def cosine(step: int, steps: int, warmup: float) -> float:
    """The share of the highest step size to use at `step` of `steps`: a linear climb, then half a cosine to zero."""
    climb = int(warmup * steps)
    if step < climb:
        return (step + 1) / (climb + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - climb) / max(1, steps - climb)))


def optimizer_for(named: Iterable[tuple[str, nn.Parameter]], params: FitParams) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum or AdamW; weight decay only on tensors of two or more axes."""
    trained = [p for _, p in named if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": params.weight_decay},
        {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
    ]
    if params.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=params.lr, betas=(params.momentum, 0.999))
    return torch.optim.SGD(groups, lr=params.lr, momentum=params.momentum, nesterov=params.momentum > 0)
