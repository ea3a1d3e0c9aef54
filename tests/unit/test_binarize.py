"""Binary and ternary weights: the papers' formulas, training through the step, and a file that restores them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tasks.core import srz
from tasks.core.binary import Stepped, signs_and_scale
from tasks.core.errors import TechniqueError
from tasks.techniques import binarize
from tests.unit import tiny

RECOVER = {"epochs": 6, "lr": 0.02, "batch": 32}


def made(**params: object) -> binarize.Outcome:  # type: ignore[name-defined]
    torch.manual_seed(0)
    return binarize.apply(tiny.trained(), tiny.pictures(), binarize.Params(**params))


def test_the_binary_scale_is_the_best_one_there_is() -> None:
    """XNOR-Net, eq. 4 to 6: no other scale and signs are nearer in least squares; here by trying scales."""
    weight = torch.randn(1, 50)
    signs, scale = signs_and_scale(weight, "binary")
    error = (weight - signs * scale).square().sum()
    for factor in (0.5, 0.9, 0.99, 1.01, 1.1, 2):
        assert (weight - signs * scale * factor).square().sum() > error
    assert scale.item() == pytest.approx(np.abs(weight.numpy()).mean(), rel=1e-6)


def test_ternary_is_twn_s_rule_by_output() -> None:
    weight = torch.randn(4, 3, 3, 3)
    signs, scale = signs_and_scale(weight, "ternary")
    for w, s, alpha in zip(weight.numpy(), signs.numpy(), scale.numpy().ravel(), strict=True):
        above = np.abs(w) > 0.7 * np.abs(w).mean()
        assert np.array_equal(s, np.sign(w) * above) and alpha == pytest.approx(np.abs(w[above]).mean(), rel=1e-5)
    assert not (signs_and_scale(torch.zeros(2, 3), "ternary")[0]).any()


@pytest.mark.parametrize("levels", ["binary", "ternary"])
def test_the_gradient_passes_the_step_unchanged(levels: str) -> None:
    weight, seen = torch.randn(3, 4, requires_grad=True), torch.randn(3, 4)
    (Stepped(levels)(weight) * seen).sum().backward()  # type: ignore[arg-type]
    assert weight.grad is not None and torch.equal(weight.grad, seen)


@pytest.mark.parametrize(("levels", "values"), [("binary", 2), ("ternary", 3)])
def test_every_output_has_so_many_values_and_the_ends_stay_float(levels: str, values: int) -> None:
    outcome, before = made(levels=levels, recover=RECOVER), tiny.trained().module
    layers = {n: m for n, m in outcome.model.module.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    assert list(outcome.facts["layers_changed"]) == list(layers)[1:-1]
    for name in outcome.facts["layers_changed"]:
        assert all(len(np.unique(w)) <= values for w in layers[name].weight.detach().numpy())
    for name in (next(iter(layers)), list(layers)[-1]):
        assert len(np.unique(layers[name].weight.detach().numpy())) > 20
    assert set(outcome.model.module.state_dict()) == set(before.state_dict())


def test_the_file_restores_the_weights_and_is_small() -> None:
    outcome = made(levels="ternary", ends=True)
    arrays = srz.decode(outcome.files["model.srz"])
    for name, tensor in outcome.model.module.state_dict().items():
        found = arrays[name] if name in arrays else arrays[f"{name}.signs"] * arrays[f"{name}.scale"]
        assert np.array_equal(found, tensor.numpy())
    convolutions, outputs = 9 * (1 * 8 + 8 * 16 + 16 * 32), 8 + 16 + 32
    bits = 2 * (convolutions + 32 * 3)
    assert outcome.facts["packed_bytes"] == bits // 8 + 4 * (outputs + 3) + 4 * (2 * outputs + 3)
    assert outcome.facts["srz_bytes"] == len(outcome.files["model.srz"])


def test_recovery_wins_accuracy_back_and_the_card_says_how_much() -> None:
    bare, recovered = made(), made(recover=RECOVER)
    data = tiny.pictures()
    assert recovered.facts["val_accuracy"] > 0.9 and recovered.facts["val_accuracy"] >= bare.facts["val_accuracy"]
    found = tiny.accuracy(tiny.logits(recovered.model, data), data)
    assert recovered.facts["val_accuracy"] == pytest.approx(found, abs=0.02)


def test_a_network_with_ends_only_is_refused() -> None:
    with pytest.raises(TechniqueError, match="`ends: true` takes the first and the last"):
        made(exclude=("body.2.0", "body.4.0"))
