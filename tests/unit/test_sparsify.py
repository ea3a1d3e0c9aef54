"""Sparsity: the right weights become zero, as many as asked for, and stay so while accuracy is won back."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tasks.core import checkpoint
from tasks.core.activation import input_norms, input_squares
from tasks.core.contract import Network, Outcome
from tasks.core.errors import TechniqueError
from tasks.core.fit import cross_entropy_loss, fit
from tasks.core.layers import Normalized
from tasks.core.masks import held, maskable
from tasks.core.recipe import FitParams
from tasks.core.sparsity import cubic, lowest, rounds_due, two_of_four, unstructured
from tasks.techniques import sparsify
from tests.unit import tiny

FIT = {"epochs": 3, "lr": 0.05, "batch": 32}


def sparse(parent: Network | None = None, **params: Any) -> Outcome:
    torch.manual_seed(0)
    return sparsify.apply(parent or tiny.trained(), tiny.pictures(), sparsify.Params(**params))


def weights(network: Any) -> dict[str, torch.Tensor]:
    layers = network.module.named_modules()
    return {name: m.weight.detach() for name, m in layers if isinstance(m, nn.Conv2d | nn.Linear)}


def test_lowest_takes_the_first_of_equals_and_none_for_zero() -> None:
    scores = torch.tensor([[3.0, 1.0, 1.0, 0.5], [2.0, 2.0, 2.0, 2.0]])
    assert lowest(scores, 2).tolist() == [[False, True, False, True], [True, True, False, False]]
    assert not lowest(scores, 0).any()


def test_global_scope_is_one_threshold_and_keeps_the_rest_bit_for_bit() -> None:
    before, outcome = weights(tiny.trained()), sparse(sparsity=0.7)
    sizes = torch.cat([w.abs().flatten() for w in before.values()])
    threshold = sizes.sort().values[round(0.7 * len(sizes))]
    for name, after in weights(outcome.model).items():
        assert torch.equal(after, torch.where(before[name].abs() < threshold, 0.0, before[name]))
    assert outcome.facts["sparsity"] == pytest.approx(0.7, abs=1e-3)
    assert outcome.facts["layers_left_alone"] == {}


@pytest.mark.parametrize("scope", ["layer", "row"])
def test_layers_or_rows_lose_the_same_share(scope: Any) -> None:
    for name, after in weights(sparse(sparsity=0.5, scope=scope).model).items():
        parts = after.flatten(1) if scope == "row" else after.flatten()[None]
        assert ((parts == 0).sum(1) == round(0.5 * parts.shape[1])).all(), name


def test_two_of_four_along_the_inputs_of_every_kernel_position() -> None:
    scores = torch.rand(3, 8, 2, 3)
    mask = two_of_four(scores)
    for o, y, x, four in np.ndindex(3, 2, 3, 2):
        inputs = slice(4 * four, 4 * four + 4)
        kept = [i for i in range(4) if not mask[o, inputs, y, x][i]]
        assert sorted(kept) == sorted(scores[o, inputs, y, x].argsort()[2:].tolist())
    linear = torch.rand(5, 8)
    assert torch.equal(two_of_four(linear), two_of_four(linear[:, :, None, None])[:, :, 0, 0])


def test_two_of_four_leaves_what_does_not_divide_and_says_so() -> None:
    outcome = sparse(pattern="2:4")
    assert outcome.facts["layers_left_alone"] == {"body.0.0": "1 inputs to an output are not a multiple of 4"}
    assert set(outcome.facts["sparsity_by_layer"].values()) == {0.5}
    assert (weights(outcome.model)["body.0.0"] == weights(tiny.trained())["body.0.0"]).all()


def test_the_climb_is_cubic_and_ends_exactly() -> None:
    assert [cubic(p, 0.8) for p in (0.0, 0.5, 1.0)] == pytest.approx([0.0, 0.7, 0.8])
    assert cubic(0.0, 0.8, 0.3) == pytest.approx(0.3) and cubic(1.0, 0.8, 0.3) == 0.8
    assert rounds_due(3, 10) == {0: 1, 5: 2, 10: 3}
    assert rounds_due(1, 10) == {0: 1} and rounds_due(5, 0) == {0: 5}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_zeros_survive_training_and_nothing_else_is_held(optimizer: str) -> None:
    network, data = tiny.trained(), tiny.pictures()
    before = weights(tiny.trained())
    masks = unstructured({name: w.abs() for name, w in before.items()}, 0.8, "layer")
    recipe = FitParams(**FIT | {"optimizer": optimizer, "lr": 0.01})
    with held(network.module, masks):
        fit(network.module, data, cross_entropy_loss(recipe), recipe)
    for name, after in weights(network).items():
        assert (after[masks[name]] == 0).all() and not torch.equal(after, before[name])
        assert (after[~masks[name]] != 0).float().mean() > 0.99
    assert not network.module._forward_pre_hooks


def test_zeros_only_become_more_and_never_grow_back() -> None:
    network, seen = tiny.trained(), []
    module = network.module
    choose = sparsify.chooser(network, maskable(module, (), fours=False)[0], {}, tiny.pictures(), sparsify.Params())
    with held(module, {}, lambda step: choose(0.2 + 0.2 * step)):
        module.train()
        for _ in range(3):
            module(*tiny.inputs(tiny.pictures()))
            seen.append({name: w == 0 for name, w in weights(network).items()})
            with torch.no_grad():  # an optimizer that would wake everything
                for m in weights(network).values():
                    m.add_(1.0)
    for earlier, later in pairwise(seen):
        assert all((later[name] >= earlier[name]).all() for name in later)
        assert sum(m.sum() for m in later.values()) > sum(m.sum() for m in earlier.values())


def test_recovery_wins_accuracy_back_at_the_full_sparsity() -> None:
    data = tiny.pictures()
    bare = tiny.accuracy(tiny.logits(sparse(sparsity=0.95).model, data), data)
    outcome = sparse(sparsity=0.95, rounds=5, recover=FIT | {"epochs": 6})
    after = tiny.accuracy(tiny.logits(outcome.model, data), data)
    assert after > 0.9 and after > bare
    assert outcome.facts["sparsity"] == pytest.approx(0.95, abs=1e-3) and outcome.facts["rounds"] == 5


def test_wanda_spares_small_weights_of_strong_inputs() -> None:
    """The paper's definition on a Linear layer, where the input of each weight is a column of the data."""
    data = tiny.numbers()
    network = tiny.trained("numbers")
    after = weights(sparsify.apply(network, data, sparsify.Params(method="wanda")).model)
    x = data.split("calibration").inputs["features"][:]
    first = next(name for name, w in after.items() if w.shape[1] == 6)
    worth = np.abs(weights(network)[first].numpy()) * np.sqrt((x.astype(np.float64) ** 2).sum(0))
    zeros = np.argsort(worth, axis=1)[:, :3]
    expected = np.zeros(worth.shape, bool)
    np.put_along_axis(expected, zeros, True, axis=1)
    assert np.array_equal(after[first].numpy() == 0, expected)


@pytest.mark.parametrize(
    ("groups", "padding", "mode", "dilation"),
    [(1, 1, "zeros", 1), (2, 0, "zeros", 2), (4, 1, "reflect", 1), (1, "same", "zeros", 1)],
)
def test_input_squares_of_a_convolution_are_its_weight_gradient(
    groups: int, padding: Any, mode: str, dilation: int
) -> None:
    """d(sum of outputs)/d(weight) on squared inputs sums exactly what each weight is multiplied with."""
    layer = nn.Conv2d(4, 8, 3, padding=padding, groups=groups, padding_mode=mode, dilation=dilation).double()
    x = torch.randn(2, 4, 7, 6).double()
    layer(x.square()).sum().backward()
    found = input_squares(layer, x)
    assert torch.allclose(found.expand_as(layer.weight), layer.weight.grad)


def test_a_layer_that_does_not_run_has_no_norm() -> None:
    network, data = tiny.trained(), tiny.pictures()
    layers, _ = maskable(network.module, (), fours=False)
    assert set(input_norms(network.module, layers | {"idle": nn.Linear(2, 2)}, data.split("calibration"))) == set(
        layers
    )


def test_tied_excluded_and_other_weights_are_left_and_named() -> None:
    a = nn.Linear(4, 4)
    b = nn.Linear(4, 4)
    b.weight = a.weight
    module = nn.ModuleDict({"a": a, "b": b, "c": nn.Linear(4, 4), "e": nn.Embedding(4, 4)})
    chosen, left = maskable(module, ("c*",), fours=True)
    assert list(chosen) == ["a"]
    assert left == {
        "e.weight": "not the weight of a Conv2d or Linear layer",
        "b": "has its weights in common with a",
        "c": "excluded",
    }


def test_a_layer_without_a_weight_left_is_refused() -> None:
    body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    with torch.no_grad():
        body[0].weight.mul_(1e-6)
    network = Network(Normalized(body, (60.0,), (50.0,), 3).eval(), {"arch": "mine"})
    with pytest.raises(TechniqueError, match=r"leaves no weight in \['body.0'\]; try scope: layer"):
        sparse(network, sparsity=0.8)
    with pytest.raises(TechniqueError, match="makes no further weight zero"):
        sparse(sparse(sparsity=0.6).model, sparsity=0.5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"pattern": "2:4", "sparsity": 0.7},
        {"pattern": "2:4", "scope": "layer"},
        {"rounds": 3},
        {"rounds": 3, "method": "wanda", "recover": FIT},
        {"recover": FIT | {"patience": 2}},
        {"sparsity": 1.0},
    ],
)
def test_settings_that_do_not_go_together_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        sparsify.Params(**wrong)


def test_saved_the_zeros_stay(tmp_path: Any) -> None:
    data, network = tiny.pictures(), sparse(pattern="2:4", method="wanda").model
    assert isinstance(network, Network)
    checkpoint.save(network, data, tmp_path)
    again = checkpoint.load(tmp_path, data)
    assert all(torch.equal(w, weights(network)[name]) for name, w in weights(again).items())
