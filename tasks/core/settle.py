"""Batch normalisation in a rehearsal, whose few steps would leave the running statistics all but what they begin with.

A deep network then answers all but the same to every row, and neither its export nor its INT8 can be checked.
"""

from __future__ import annotations

from torch import nn

from tasks.core.rehearsal import rehearsing


def settle_in_rehearsal(module: nn.Module) -> None:
    """In a rehearsal, have every batch norm keep the statistics of the last batch alone; in a run, do nothing."""
    for part in module.modules() if rehearsing() else ():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.momentum = 1.0
