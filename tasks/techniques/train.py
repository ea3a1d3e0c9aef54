"""Plain supervised training: what turns the untrained network into the baseline.

Use when there is no trained network to start from, or to train one further on the labels alone.
Changes the weights; the architecture stays.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.core.recipe import FitParams

if TYPE_CHECKING:
    from tasks.core.contract import Data, Network, Outcome

TAKES = "torch"
GIVES = "torch"


class Params(FitParams):
    """How to train: the training loop's own parameters."""


def apply(parent: Network, data: Data, params: Params) -> Outcome:
    """A trained copy of `parent`."""
    from tasks.core.contract import Outcome
    from tasks.core.fit import cross_entropy_loss, fit

    network = replace(parent, module=copy.deepcopy(parent.module))
    return Outcome(network, fit(network.module, data, cross_entropy_loss(params), params))
