"""Early stopping: which weights to end with, and when no better ones are to be expected."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn


class Best:
    """The best weights so far, and for how many epochs they have stood."""

    def __init__(self, module: nn.Module, patience: int | None) -> None:
        self.module, self.patience = module, patience
        self.value, self.epoch = -1.0, 0
        self.state: dict[str, Any] = {}

    def keep(self, epoch: int, value: float) -> bool:
        """Note the epoch's accuracy; True when it is time to stop: never without patience, and then nothing is kept."""
        if value > self.value:
            self.value, self.epoch = value, epoch
            if self.patience is not None:
                self.state = copy.deepcopy(self.module.state_dict())
        return self.patience is not None and epoch - self.epoch >= self.patience

    def restore(self) -> None:
        """Put the best weights back, where they were kept."""
        if self.state:
            self.module.load_state_dict(self.state)
