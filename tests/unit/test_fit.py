"""The training loop: repeatable, and each knob does what it says."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tasks.core.augment import augment, crop, flip
from tasks.core.contract import Data, Split
from tasks.core.device import best_device, repeatable
from tasks.core.errors import TechniqueError
from tasks.core.fit import accuracy, cross_entropy_loss, fit, shuffled
from tasks.core.optimize import cosine, optimizer_for
from tasks.core.recipe import FitParams
from tasks.core.shape import build_like
from tests.unit import tiny


def fitted(seed: int, data: Data | None = None, **params: Any) -> tuple[nn.Module, dict[str, Any]]:
    data = data or tiny.pictures()
    torch.manual_seed(seed)
    module = build_like(tiny.CNN, data).module
    recipe = FitParams(**{"epochs": 2, "lr": 0.05, "batch": 32} | params)
    return module, fit(module, data, cross_entropy_loss(recipe), recipe)


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("own", [{}, {"augment": ("flip", "crop")}, {"optimizer": "adamw", "lr": 0.003}])
def test_one_seed_one_result(own: dict[str, Any]) -> None:
    first, other = fitted(1, **own)[0], fitted(2, **own)[0]
    torch.rand(17)  # what ran before must not matter
    assert same(first, fitted(1, **own)[0])
    assert not same(first, other)


def test_learns_and_says_so() -> None:
    module, facts = fitted(0, epochs=8)
    data = tiny.pictures()
    assert facts["val_accuracy"] > 0.95 and facts["epochs_trained"] == 8
    assert accuracy(module, data.split("val"), torch.device("cpu")) == pytest.approx(facts["val_accuracy"], abs=1e-6)


def test_puts_the_determinism_switches_back() -> None:
    before = torch.are_deterministic_algorithms_enabled()
    with repeatable():
        assert torch.are_deterministic_algorithms_enabled()
    assert torch.are_deterministic_algorithms_enabled() == before


def test_each_epoch_sees_rows_once_and_in_another_order() -> None:
    rows = np.arange(10, dtype=np.float32)[:, None]
    split = Split({"x": rows}, np.arange(10))
    generator = torch.Generator().manual_seed(0)
    params = FitParams(epochs=1, lr=1, batch=4)
    epochs = [list(shuffled(split, params, torch.device("cpu"), generator)) for _ in range(2)]
    for epoch in epochs:
        seen = torch.cat([labels for _, labels in epoch]).tolist()
        assert len(seen) == 8 == len(set(seen))
        assert all(torch.equal(x["x"][:, 0].long(), y) for x, y in epoch)
    assert not torch.equal(epochs[0][0][1], epochs[1][0][1])


def test_a_split_smaller_than_a_batch_is_one_batch() -> None:
    split = Split({"x": np.zeros((3, 1), np.float32)}, np.arange(3))
    (only,) = shuffled(split, FitParams(epochs=1, lr=1, batch=64), torch.device("cpu"), torch.Generator())
    assert sorted(only[1].tolist()) == [0, 1, 2]


def test_step_size_climbs_then_falls_to_zero() -> None:
    steps = [cosine(k, 100, 0.1) for k in range(101)]
    assert steps[0] > 0 and max(steps) == steps[10] == 1.0
    assert steps[:11] == sorted(steps[:11]) and steps[10:] == sorted(steps[10:], reverse=True)
    assert steps[55] == pytest.approx(0.5) and steps[100] == pytest.approx(0)
    assert cosine(0, 1, 0.0) == 1.0


@pytest.mark.parametrize(("optimizer", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_biases_and_norms_are_not_decayed(optimizer: Any, kind: type) -> None:
    module = build_like(tiny.CNN, tiny.pictures()).module
    found = optimizer_for(module.named_parameters(), FitParams(epochs=1, lr=1, optimizer=optimizer, weight_decay=0.1))
    assert isinstance(found, kind)
    decays = {id(p): g["weight_decay"] for g in found.param_groups for p in g["params"]}
    assert all(decays[id(p)] == (0.1 if p.dim() > 1 else 0.0) for p in module.parameters())


def test_early_stop_keeps_the_best_weights() -> None:
    """Labels of `val` are all one class that training moves away from, so the first epochs are the best."""
    data = tiny.pictures()
    val = data.split("val")
    odd = replace(data, val=Split(val.inputs, (val.labels + 1) % 3))
    module, facts = fitted(0, odd, epochs=40, patience=2)
    assert facts["epochs_trained"] < 40
    assert accuracy(module, odd.split("val"), torch.device("cpu")) == pytest.approx(facts["val_accuracy"], abs=1e-6)


def test_label_smoothing_is_torch_s_definition() -> None:
    logits, labels = torch.tensor([[2.0, 0.0, 1.0]]), torch.tensor([0])
    log_p = torch.log_softmax(logits, 1)[0]
    expected = -(0.7 * log_p[0] + 0.1 * log_p.sum())
    loss = cross_entropy_loss(FitParams(epochs=1, lr=1, label_smoothing=0.3))
    assert loss(nn.Identity(), {"x": logits}, labels).item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_loss_that_is_not_finite_stops_the_training() -> None:
    data = tiny.numbers()
    module = build_like(tiny.MLP, data).module
    recipe = FitParams(epochs=1, lr=0.1)
    with pytest.raises(TechniqueError, match="diverged"):
        fit(module, data, lambda m, x, y: m(*x.values()).sum() * math.inf, recipe)


def test_helper_parameters_are_trained() -> None:
    data = tiny.numbers()
    helper = nn.Linear(3, 3)
    before = helper.weight.clone()
    fit(
        build_like(tiny.MLP, data).module,
        data,
        lambda m, x, y: helper(m(*x.values())).square().mean(),
        FitParams(epochs=1, lr=0.1),
        helper=helper,
    )
    assert not torch.equal(helper.weight.cpu(), before)


def test_flip_mirrors_about_half_and_nothing_else() -> None:
    x = torch.arange(200 * 2 * 3 * 4).reshape(200, 2, 3, 4).to(torch.uint8)
    out = flip(x, torch.Generator().manual_seed(0))
    mirrored = [torch.equal(o, i.flip(-1)) for o, i in zip(out, x, strict=True)]
    kept = [torch.equal(o, i) for o, i in zip(out, x, strict=True)]
    assert all(m != k for m, k in zip(mirrored, kept, strict=True)) and 60 < sum(mirrored) < 140


def test_crop_moves_within_an_eighth_and_repeats_the_border() -> None:
    x = torch.rand(50, 3, 16, 16)
    out = crop(x, torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(x, (2, 2, 2, 2), mode="replicate")
    for n in range(50):
        windows = [padded[n, :, a : a + 16, b : b + 16] for a in range(5) for b in range(5)]
        assert any(torch.equal(out[n], w) for w in windows)
    assert out.shape == x.shape and not torch.equal(out, x)


def test_augment_applies_in_order_and_nothing_by_default() -> None:
    x = torch.rand(4, 1, 8, 8)
    assert augment(x, (), torch.Generator()) is x
    a, b = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    assert torch.equal(augment(x, ("flip", "crop"), a), crop(flip(x, b), b))


def test_trains_where_it_says() -> None:
    assert best_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
