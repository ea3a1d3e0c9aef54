"""Measuring anew what batch normalisation knows of its inputs.

Yu & Huang, *Universally Slimmable Networks*, 2019 (arXiv:1903.05134), section 3.2: a network whose width was changed
answers with the mean and the variance of the whole one until they are measured again, as an exact average.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tasks.core.arrays import batches
from tasks.core.contract import Split
from tasks.core.device import placed

ROWS = 256


def recalibrate(module: nn.Module, split: Split) -> int:
    """Set the running statistics of every batch norm of `module`, in place, from `split`; returns how many there are.

    All statistics are zeroed first and averaged over batches of `ROWS` rows with equal weight; rows that do not fill
    the last batch are left out, unless there is no other. In float32, as the network is
    served. The module ends in eval mode.
    """
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    device = next(iter(module.parameters())).device
    momenta = [m.momentum for m in norms]
    module.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # an exact average
        norm.train()
    with torch.no_grad():
        for inputs, labels in batches(split, ROWS) if norms else ():
            if len(labels) == ROWS or len(split) < ROWS:
                module(*(placed(torch.tensor(x), device) for x in inputs.values()))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    module.eval()
    return len(norms)
