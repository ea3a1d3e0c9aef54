"""The lottery ticket: pruned by trained size, rewound to its own beginning, and set beside random weights."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tasks.core.contract import Data, Network, Outcome
from tasks.core.errors import TechniqueError
from tasks.core.fit import Batch, cross_entropy_loss, fit
from tasks.core.shape import build_like
from tasks.techniques import lottery
from tests.unit import tiny

FIT = {"epochs": 2, "lr": 0.05, "batch": 32}


def untrained() -> Network:
    torch.manual_seed(3)
    return build_like(tiny.CNN, tiny.pictures())


def drawn(parent: Network | None = None, **params: Any) -> Outcome:
    settings = lottery.Params(**FIT | {"sparsity": 0.8, "rounds": 1, "controls": 0} | params)
    parent = parent or untrained()
    torch.manual_seed(4)
    return lottery.apply(parent, tiny.pictures(), settings)


def weights(module: nn.Module) -> dict[str, torch.Tensor]:
    layers = [(n, m) for n, m in module.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return {name: m.weight.detach() for name, m in layers}


def by_hand(data: Data, sparsities: list[float]) -> nn.Module:
    """Train, prune, rewind, train: with the mask in the loss, so that it owes nothing to `held`."""
    recipe = lottery.Params(**FIT, sparsity=0.5)
    start = untrained().module
    torch.manual_seed(4)
    module = copy.deepcopy(start)
    fit(module, data, cross_entropy_loss(recipe), recipe)
    for sparsity in sparsities:
        sizes = torch.cat([w.abs().flatten() for w in weights(module).values()]).sort().values
        threshold = sizes[round(sparsity * len(sizes))]
        kept = {name: w.abs() >= threshold for name, w in weights(module).items()}
        module = copy.deepcopy(start)

        def mask(kept: Any = kept, module: nn.Module = module) -> None:
            for name, w in weights(module).items():
                w.copy_(torch.where(kept[name], w, torch.zeros(())))

        def loss(model: nn.Module, inputs: Batch, labels: torch.Tensor, mask: Any = mask) -> torch.Tensor:
            mask()
            return cross_entropy_loss(recipe)(model, inputs, labels)

        fit(module, data, loss, recipe)
        mask()
    return module


def test_is_train_prune_rewind_train() -> None:
    outcome = drawn(rounds=2)
    expected = by_hand(tiny.pictures(), [1 - 0.2**0.5, 0.8])
    for name, found in weights(outcome.model.module).items():
        assert torch.equal(found, weights(expected)[name])
    assert outcome.facts["sparsity"] == pytest.approx(0.8, abs=1e-3)
    assert [r["sparsity"] for r in outcome.facts["rounds"]] == pytest.approx([1 - 0.2**0.5, 0.8], abs=1e-6)


def test_each_round_takes_the_same_share_of_the_survivors() -> None:
    left = [1 - lottery.sparsity_after(k, 4, 0.9) for k in range(5)]
    assert left[0] == 1 and left[4] == pytest.approx(0.1) and lottery.sparsity_after(4, 4, 0.9) == 0.9
    assert [b / a for a, b in pairwise(left)] == pytest.approx([0.1**0.25] * 4)


def test_rewinds_to_the_weights_of_that_epoch_and_no_other() -> None:
    """The weights after one of two epochs: what a loss that looks on sees at its seventh step of six an epoch."""
    data, params = tiny.pictures(), lottery.Params(**FIT, sparsity=0.5, rewind_epochs=1)
    seen: list[dict[str, torch.Tensor]] = []

    def looking(model: nn.Module, inputs: Batch, labels: torch.Tensor) -> torch.Tensor:
        seen.append({name: t.clone() for name, t in model.state_dict().items()})
        return cross_entropy_loss(params)(model, inputs, labels)

    module, again = untrained().module, untrained().module
    torch.manual_seed(4)
    start, facts = lottery.train_dense(module, data, params)
    torch.manual_seed(4)
    assert fit(again, data, looking, params) == facts
    assert start.keys() == seen[6].keys() and all(torch.equal(start[k], seen[6][k]) for k in start)
    first = lottery.train_dense(untrained().module, data, params.model_copy(update={"rewind_epochs": 0}))[0]
    assert all(torch.equal(first[k], t) for k, t in untrained().module.state_dict().items())


def test_the_card_says_what_it_was_compared_with() -> None:
    facts = drawn(controls=2, rewind_epochs=1).facts
    assert len(facts["random_val_accuracy"]) == 2 and facts["not_reinitialised"] == []
    assert facts["rewound_to"] == "the weights 1 epochs after the parent's"
    assert facts["val_accuracy"] == facts["rounds"][-1]["val_accuracy"]
    assert 0 < facts["dense_val_accuracy"] <= 1
    assert drawn().facts["rewound_to"] == "the parent's"


def test_controls_do_not_change_the_ticket() -> None:
    alone, compared = drawn().model.module, drawn(controls=1).model.module
    assert all(torch.equal(a, b) for a, b in zip(alone.parameters(), compared.parameters(), strict=True))


def test_a_control_has_none_of_the_tickets_weights() -> None:
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(2))
            self.layers = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))

    module = Bare()
    with torch.no_grad():
        for tensor in [*module.parameters(), module.layers[1].running_mean]:
            tensor.fill_(7.0)
    assert lottery.reinitialise(module) == ["scale"]
    assert not (module.layers[0].weight == 7).any() and (module.layers[1].running_mean == 0).all()
    assert (module.layers[1].weight == 1).all()


def test_a_ticket_learns() -> None:
    outcome = drawn(epochs=10, rounds=2)
    assert tiny.accuracy(tiny.logits(outcome.model, tiny.pictures()), tiny.pictures()) > 0.9


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValidationError, match="below epochs"):
        lottery.Params(**FIT, sparsity=0.5, rewind_epochs=2)
    with pytest.raises(TechniqueError, match="patience ended training after"):
        drawn(epochs=60, patience=1, rewind_epochs=59)
