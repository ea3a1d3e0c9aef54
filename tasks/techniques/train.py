"""Plain supervised training: what turns the untrained network into the baseline.

Cross-entropy, by SGD with Nesterov momentum or AdamW (Loshchilov & Hutter, *Decoupled Weight Decay Regularization*,
2017, arXiv:1711.05101); the step size climbs (Goyal et al. 2017, arXiv:1706.02677) and falls along a cosine (Loshchilov
& Hutter, *SGDR*, 2016, arXiv:1608.03983, without its restarts); `label_smoothing`: Szegedy et al. 2015,
arXiv:1512.00567.

Use when there is no trained network to start from, or to train one further on the labels alone.
Changes the weights; the architecture stays.
Costs `epochs` passes over data.train, forwards and backwards, and beside the weights in memory their gradients and one
(sgd) or two (adamw) numbers a weight for the optimizer. Size and latency are the architecture's; here they are the 1.0
that other rows are held against.
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
