"""Structured pruning: remove whole channels, attention heads and feed-forward neurons, the least needed first.

Li et al., *Pruning Filters for Efficient ConvNets*, 2016 (arXiv:1608.08710), for the idea and for `l1`; Fang et al.,
*DepGraph*, 2023 (arXiv:2301.12900), for the channels that must go together; Liu et al. 2017 (arXiv:1708.06519) for
`bn_scale`; Molchanov et al. 2019 (arXiv:1906.10771) for `taylor`; Michel et al. 2019 (arXiv:1905.10650) for heads.
What each importance is, and how layers are made comparable: tasks/core/importance.py.

Use when the network must get faster on ordinary hardware: unlike zeroed weights, removed channels save time everywhere.
Changes the sizes of layers; the layer that gives the logits keeps its classes, a transformer its hidden width. Accuracy
is won back by imitating the parent (`recover`), after every round. The parent is only read. With `latency_ratio` the
clock decides: such a row differs from machine to machine, and from run to run.
Costs `rounds` times the epochs of `recover`, each step with a pass of the parent. Half of the channels gave 0.28 to
0.31 of the latency and a quarter of the bytes in the zoo (benchmarks/RESULTS.md), for 0.34 points on Fashion-MNIST (4
epochs) and 2.40 on CIFAR-10 (6 epochs; 0.64 at width 32 with 40). `latency_ratio: 0.5` gave 0.49 to 0.51, for 0.35.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from pydantic import Field, JsonValue

from tasks.core.amount import PruneParams
from tasks.core.errors import TechniqueError
from tasks.core.recipe import RecoverParams

if TYPE_CHECKING:
    from tasks.core.contract import Data, Facts, Network, Outcome

TAKES = "torch"
GIVES = "torch"


class Params(PruneParams):
    """How much to remove, what first (tasks/core/amount.py), and how to recover."""

    recover: RecoverParams | None = Field(
        None, description="training that imitates the parent, after every round; null: none"
    )


def apply(parent: Network, data: Data, params: Params) -> Outcome:
    """A smaller copy of `parent`. Raises TechniqueError when nothing could be removed, or the target not be reached."""
    from dataclasses import replace

    from tasks.core.contract import Outcome
    from tasks.core.imitate import recover
    from tasks.core.pruner import Pruner
    from tasks.core.shape import count_macs, count_parameters
    from tasks.core.shrink import layers_touched, on_record, widths

    pruner = Pruner(parent, data, params)
    module = copy.deepcopy(parent.module).eval()
    rounds: list[JsonValue] = []
    trained: Facts = {}
    for done in range(1, params.rounds + 1):
        before, (module, told) = widths(module), pruner.round(module, done)
        if params.recover is not None and widths(module) != before:
            latest = recover(replace(parent, module=module), parent, data, params.recover)
            told |= latest
            trained = latest
        rounds.append({**told})
    network = on_record(parent, module)
    if network is None:
        raise TechniqueError(
            f"prune: {pruner.asked} with round_to {params.round_to} removes no channel of any layer; "
            f"the layers have {sorted(set(widths(module).values()))}: raise ratio or lower round_to"
        )
    facts: Facts = {
        "parameters_before": count_parameters(parent.module),
        "parameters_after": count_parameters(module),
        "macs_before": count_macs(parent.module, pruner.inputs),
        "macs_after": count_macs(module, pruner.inputs),
        "rounds": rounds,
        **pruner.facts(network),
        **layers_touched(parent.module, module, pruner.why_left),
    }
    return Outcome(network, {**facts, **trained})
