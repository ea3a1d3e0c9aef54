"""Sparsity: make single weights zero, those that matter least, and keep them so while accuracy is won back.

`magnitude`: Zhu & Gupta, *To prune, or not to prune*, 2017 (arXiv:1710.01878): the share of zeros climbs along a cubic
during `recover`, fast at first. `wanda`: Sun et al., *A Simple and Effective Pruning Approach for Large Language
Models*, 2023 (arXiv:2306.11695): weight times the norm of its input on data.calibration (in one pass through the whole
parent; the paper's code goes block by block), once, without training.
`2:4`: Mishra et al., *Accelerating Sparse Deep Neural Networks*, 2021 (arXiv:2104.08378).

Use when the model is sent or stored compressed, or runs on a processor with 2:4 units: where this is built on a GPU
that has them, `torch.sparse.to_sparse_semi_structured` packs the layers, and the card says which and what changed.
Without `recover`, small convolutional networks lose far less with `scope: global`, by either method, than with the
others or 2:4.
Changes weights to zero, in all Conv2d and Linear layers but the excluded, the one that gives the logits included. Sizes
stay, so nothing gets faster in ONNX Runtime. The zeros hold while `recover` trains; a child that trains again (distill,
prune with `recover`) fills them, unless it is another `sparsify` of the same sparsity or more.
Costs the epochs of `recover`, each step with a pass of the parent, and a mask in memory; `wanda` one pass over
data.calibration. Latency was 0.99 to 1.00 of the parent's in the zoo (benchmarks/RESULTS.md); points lost on
Fashion-MNIST and CIFAR-10: 0.20 and 0.94 (90 %, recovered), 0.08 and 0.53 (2:4, recovered), 2.31 and 8.30 (wanda, 50 %,
not). 2:4 was never run on a GPU.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from tasks.core.contract import Params as Base
from tasks.core.errors import TechniqueError
from tasks.core.recipe import RecoverParams

if TYPE_CHECKING:
    from tasks.core.contract import Data, Facts, Network, Outcome
    from tasks.core.sparsity import Layer, Masks

TAKES = "torch"
GIVES = "torch"
ROUNDS = 20


class Params(Base):
    """How many zeros, which, and how to recover."""

    sparsity: float = Field(0.5, gt=0, lt=1, description="share of the weights to make zero; 2:4 is always 0.5")
    pattern: Literal["unstructured", "2:4"] = Field(
        "unstructured", description="anywhere, or two of every four consecutive inputs to an output"
    )
    method: Literal["magnitude", "wanda"] = Field(
        "magnitude", description="what a weight is worth: its size, or that times its input's norm on `calibration`"
    )
    scope: Literal["global", "layer", "row"] | None = Field(
        None,
        description="which weights compete: of the network, a layer, or one output; null: global, or row for wanda",
    )
    rounds: int | None = Field(
        None, ge=1, description=f"how often zeros are added during `recover`; null: {ROUNDS}, or 1 for wanda and 2:4"
    )
    ramp: float = Field(0.5, gt=0, le=0.95, description="share of `recover` over which the rounds are spread")
    exclude: tuple[str, ...] = Field((), description="layers to leave alone: names as on the card, or patterns with *")
    recover: RecoverParams | None = Field(None, description="training that imitates the parent; null: none")

    @property
    def prunings(self) -> int:
        """How many times zeros are added."""
        at_once = self.recover is None or self.method == "wanda" or self.pattern == "2:4"
        return self.rounds or (1 if at_once else ROUNDS)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.pattern == "2:4" and (self.sparsity != 0.5 or self.scope is not None):
            raise ValueError("pattern 2:4 has sparsity 0.5 and no scope; leave both out")
        if self.prunings > 1 and self.recover is None:
            raise ValueError(f"rounds: {self.rounds} needs `recover`; without it zeros are made once")
        if self.prunings > 1 and (self.method == "wanda" or self.pattern == "2:4"):
            raise ValueError(f"rounds: {self.rounds} is for unstructured magnitude; wanda and 2:4 choose once")
        if self.prunings > 1 and self.recover is not None and self.recover.patience is not None:
            raise ValueError("recover.patience may keep weights of before the last round; leave it out, or rounds: 1")
        return self


def apply(parent: Network, data: Data, params: Params) -> Outcome:
    """A sparse copy of `parent`. Raises TechniqueError when no weight would become zero that is not already."""
    from dataclasses import replace

    from torch import equal

    from tasks.core.contract import Outcome
    from tasks.core.masks import maskable, sparsity_facts, zero, zero_share
    from tasks.core.sparse_cores import tried

    network = replace(parent, module=copy.deepcopy(parent.module).eval())
    layers, left = maskable(network.module, params.exclude, fours=params.pattern == "2:4")
    choose = chooser(network, layers, left, data, params)
    initial = zero_share(layers)
    facts: Facts = {"sparsity_before": round(initial, 6)}
    if params.recover is not None:
        facts |= recovered(network, parent, data, params, choose, min(initial, params.sparsity))
    else:
        zero(network.module, choose(params.sparsity))
        if all(map(equal, network.module.parameters(), parent.module.parameters())):
            raise TechniqueError(
                f"sparsify: sparsity {params.sparsity} makes no further weight zero, {initial:.4g} of them are; "
                "raise sparsity, or give `recover` to train on"
            )
    if params.pattern == "2:4":
        facts |= tried(network.module, layers, data)
    return Outcome(network, facts | sparsity_facts(network.module, layers, left))


def chooser(
    network: Network, layers: dict[str, Layer], left: Facts, data: Data, params: Params
) -> Callable[[float], Masks]:
    """The function from a sparsity to masks, by the weights as they are when it is called.

    For wanda the inputs are measured here; a layer that does not run moves from `layers` to `left`.
    """
    from tasks.core.activation import input_norms
    from tasks.core.sparsity import lightest

    wanda = params.method == "wanda"
    norms = input_norms(network.module, layers, data.split("calibration")) if wanda else {}
    for name in [n for n in layers if wanda and n not in norms]:
        left[name] = f"{type(layers.pop(name)).__name__} that does not run on the rows of `calibration`"

    scope = "2:4" if params.pattern == "2:4" else params.scope or ("row" if wanda else "global")
    return lambda sparsity: lightest(layers, norms, sparsity, scope)


def recovered(
    network: Network, parent: Network, data: Data, params: Params, choose: Callable[[float], Masks], initial: float
) -> Facts:
    """Train `network` in place to imitate `parent` while its zeros become more, round by round."""
    from tasks.core.imitate import recover
    from tasks.core.masks import held
    from tasks.core.sparsity import cubic, rounds_due

    recipe = params.recover
    assert recipe is not None
    steps = recipe.epochs * max(1, len(data.train) // recipe.batch)
    due = rounds_due(params.prunings, int(params.ramp * steps))

    def renew(step: int) -> Masks | None:
        return choose(cubic(due[step] / params.prunings, params.sparsity, initial)) if step in due else None

    with held(network.module, {}, renew):
        facts = recover(network, parent, data, recipe)
    return {**facts, "rounds": len(due)}
