"""The lottery ticket: train, make the smallest weights zero, rewind the rest to how they began, and train again.

Frankle & Carbin, *The Lottery Ticket Hypothesis*, 2018 (arXiv:1803.03635), iterative magnitude pruning with resetting.
Rewinding to early weights: Frankle et al., *Stabilizing the Lottery Ticket Hypothesis*, 2019 (arXiv:1903.01611).

Use when the question is whether a sparse network can learn as much from its own beginning, or for sparse weights that
owe nothing to a trained parent. `from: data` makes the untrained network the beginning, as in the papers; `from` a row
makes that row's weights the beginning, and then the ticket is of fine-tuning.
Changes weights to zero, as `sparsify` does: sizes stay, nothing gets faster in ONNX Runtime, and a child that trains
again fills the zeros. The card sets the ticket beside the dense network and beside the same mask on fresh random
weights (every layer's own initialisation), all trained alike and in the same order of rows.
Costs 1 + rounds + controls trainings, and gives back neither bytes nor time: 1.0 of the latency in the zoo
(benchmarks/RESULTS.md), for 0.00 points on Fashion-MNIST and 2.09 on CIFAR-10 at 90 % zeros.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, JsonValue, model_validator

from tasks.core.errors import TechniqueError
from tasks.core.recipe import FitParams

if TYPE_CHECKING:
    from torch import nn

    from tasks.core.contract import Data, Facts, Network, Outcome
    from tasks.core.sparsity import Masks

TAKES = "torch"
GIVES = "torch"


class Params(FitParams):
    """How every one of the trainings goes, and how the ticket is drawn."""

    sparsity: float = Field(gt=0, lt=1, description="share of the weights that end as zero")
    rounds: int = Field(
        5, ge=1, le=100, description="times to prune and rewind; each takes the same share of the weights that are left"
    )
    rewind_epochs: int = Field(0, ge=0, description="rewind to the weights after so many epochs; 0: to the first ones")
    scope: Literal["global", "layer"] = Field("global", description="which weights compete: the network's or a layer's")
    exclude: tuple[str, ...] = Field((), description="layers to leave alone: names as on the card, or patterns with *")
    controls: int = Field(1, ge=0, le=100, description="random initialisations to train with the ticket's mask")

    @model_validator(mode="after")
    def _rewinds_to_before_the_end(self) -> Self:
        if self.rewind_epochs >= self.epochs:
            raise ValueError(f"rewind_epochs {self.rewind_epochs} must be below epochs {self.epochs}")
        return self


def sparsity_after(done: int, rounds: int, final: float) -> float:
    """The sparsity after `done` of `rounds` prunings of the same share of the survivors: 0 after none, then `final`."""
    return final if done == rounds else 1 - (1 - final) ** (done / rounds)


def apply(parent: Network, data: Data, params: Params) -> Outcome:
    """The trained ticket, a sparse copy of `parent`. Raises TechniqueError when a layer would lose all its weights."""
    from dataclasses import replace

    from tasks.core.contract import Outcome
    from tasks.core.masks import maskable, sparsity_facts
    from tasks.core.sparsity import magnitudes, unstructured

    network = replace(parent, module=copy.deepcopy(parent.module))
    module = network.module
    layers, left = maskable(module, params.exclude, fours=False)
    start, dense = train_dense(module, data, params)
    masks: Masks = {}
    rounds: list[JsonValue] = []
    ticket: Facts = {}
    for done in range(1, params.rounds + 1):
        sparsity = sparsity_after(done, params.rounds, params.sparsity)
        masks = unstructured(magnitudes(layers), sparsity, params.scope)
        module.load_state_dict(start)
        ticket = train_masked(module, masks, data, params, f"round {done} of {params.rounds}, sparsity {sparsity:.4f}")
        rounds.append({"sparsity": round(sparsity, 6), "val_accuracy": ticket["val_accuracy"]})
    origin = f"the weights {params.rewind_epochs} epochs after the parent's" if params.rewind_epochs else "the parent's"
    facts: Facts = {
        **ticket,
        "rewound_to": origin,
        "dense_val_accuracy": dense["val_accuracy"],
        "rounds": rounds,
        **against_random(module, masks, data, params),
    }
    return Outcome(network, facts | sparsity_facts(module, layers, left))


def train_dense(module: nn.Module, data: Data, params: Params) -> tuple[dict[str, Any], Facts]:
    """Train `module` in place; the weights and buffers to rewind to, and the facts of the training."""
    from tasks.core.fit import cross_entropy_loss, fit
    from tasks.core.masks import held

    rewind_step = params.rewind_epochs * max(1, len(data.train) // params.batch)
    start: dict[str, Any] = {}

    def note(step: int) -> None:
        if step == rewind_step:
            start.update({name: t.detach().cpu().clone() for name, t in module.state_dict().items()})

    print("dense network", flush=True)
    with held(module, {}, note):
        facts = fit(module, data, cross_entropy_loss(params), params)
    if not start:
        raise TechniqueError(
            f"lottery: patience ended training after {facts['epochs_trained']} epochs, before there were weights "
            f"{params.rewind_epochs} epochs old to rewind to; lower rewind_epochs or raise patience"
        )
    return start, facts


def train_masked(module: nn.Module, masks: Masks, data: Data, params: Params, title: str) -> Facts:
    """Train `module` in place with its masked weights held at zero; the facts of the training."""
    from tasks.core.fit import cross_entropy_loss, fit
    from tasks.core.masks import held

    print(title, flush=True)
    with held(module, masks):
        return fit(module, data, cross_entropy_loss(params), params)


def against_random(ticket: nn.Module, masks: Masks, data: Data, params: Params) -> Facts:
    """What the ticket's mask is worth on random weights: the `val` accuracy of every control."""
    found: list[JsonValue] = []
    untouched: list[str] = []
    for k in range(1, params.controls + 1):
        module = copy.deepcopy(ticket)
        untouched = reinitialise(module)
        facts = train_masked(module, masks, data, params, f"random control {k} of {params.controls}")
        found.append(facts["val_accuracy"])
    return {"random_val_accuracy": found, "not_reinitialised": [*untouched]}


def reinitialise(module: nn.Module) -> list[str]:
    """Draw every layer's weights anew, in place, each by its own `reset_parameters`; the parameters that have none."""
    reset: set[int] = set()
    for layer in module.modules():
        draw = getattr(layer, "reset_parameters", None)
        if callable(draw):
            draw()
            reset |= {id(p) for p in layer.parameters(recurse=False)}
    return [name for name, p in module.named_parameters() if id(p) not in reset]
