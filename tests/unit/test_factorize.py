"""Factorization: the pair answers as the truncated weights do, ranks follow their rule, and the record reloads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tasks.core import checkpoint
from tasks.core.contract import Network, Outcome
from tasks.core.errors import TechniqueError
from tasks.core.export import export, parity
from tasks.core.factors import factored
from tasks.core.layers import Normalized
from tasks.core.shape import count_parameters
from tasks.techniques import factorize
from tests.unit import tiny


def split(parent: Network | None = None, **params: Any) -> Outcome:
    return factorize.apply(parent or tiny.trained(), tiny.pictures(), factorize.Params(**{"round_to": 1} | params))


CONVS: list[dict[str, Any]] = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": (3, 5), "stride": (2, 1), "padding": (0, 2), "dilation": (1, 2), "bias": False},
    {"kernel_size": 3, "padding": "same", "dilation": 2, "padding_mode": "reflect"},
    {"kernel_size": 1},
]


@pytest.mark.parametrize("how", ["spatial", "channel"])
@pytest.mark.parametrize("conv", CONVS)
def test_at_full_rank_a_convolution_answers_the_same(conv: dict[str, Any], how: Any) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 6, **conv)
    height, width = layer.kernel_size
    full = min(4 * height, 6 * width) if how == "spatial" else min(4 * height * width, 6)
    x = torch.randn(2, 4, 9, 11)
    torch.testing.assert_close(factored(layer, full, how)(x), layer(x), rtol=1e-4, atol=1e-5)


def test_a_truncated_linear_layer_is_the_nearest_of_its_rank() -> None:
    """Against numpy: no matrix of rank 3 is nearer than the one whose error is the singular values left out."""
    torch.manual_seed(1)
    layer = nn.Linear(10, 7)
    pair = factored(layer, 3, "spatial")
    product = (pair[1].weight @ pair[0].weight).detach().numpy()
    weight = layer.weight.detach().numpy()
    values = np.linalg.svd(weight, compute_uv=False)
    assert np.linalg.matrix_rank(product, tol=1e-5) == 3
    assert np.linalg.norm(weight - product) == pytest.approx(np.sqrt((values[3:] ** 2).sum()), rel=1e-4)
    assert pair[0].bias is None and torch.equal(pair[1].bias, layer.bias)
    torch.testing.assert_close(pair[0].weight.norm(dim=1), pair[1].weight.norm(dim=0))


def test_an_embedding_becomes_a_thin_table_and_a_product() -> None:
    torch.manual_seed(2)
    table = nn.Embedding(50, 8, padding_idx=0)
    ids = torch.tensor([[0, 3, 49]])
    torch.testing.assert_close(factored(table, 8, "spatial")(ids), table(ids), rtol=1e-4, atol=1e-5)
    thin = factored(table, 2, "spatial")
    assert [tuple(p.shape) for p in thin.parameters()] == [(50, 2), (8, 2)]
    assert not thin(ids)[0, 0].any()


@pytest.mark.integration
@pytest.mark.parametrize("how", ["spatial", "channel"])
def test_weights_of_low_rank_are_split_without_loss(how: str) -> None:
    """A layer made of rank 2: 99.99 % of the energy is two ranks, and no logit moves."""
    network, data = tiny.trained(), tiny.pictures()
    layer = network.module.get_submodule("body.4.0")
    assert isinstance(layer, nn.Conv2d)
    with torch.no_grad():
        layer.weight.copy_(factored_weight(layer, 2, how))
    outcome = split(network, energy=0.9999, split=how)
    assert outcome.facts["ranks"]["body.4.0"] == 2
    np.testing.assert_allclose(tiny.logits(outcome.model, data), tiny.logits(network, data), atol=0.1)


def factored_weight(layer: nn.Conv2d, rank: int, how: str) -> torch.Tensor:
    """The layer's weight cut to `rank`, computed by numpy along the axes that `how` splits."""
    weight = layer.weight.detach().double().numpy()
    o, i, h, w = weight.shape
    matrix = weight.transpose(1, 2, 0, 3).reshape(i * h, o * w) if how == "spatial" else weight.reshape(o, i * h * w)
    u, s, v = np.linalg.svd(matrix, full_matrices=False)
    cut = (u[:, :rank] * s[:rank]) @ v[:rank]
    back = cut.reshape(i, h, o, w).transpose(2, 0, 1, 3) if how == "spatial" else cut.reshape(o, i, h, w)
    return torch.from_numpy(np.ascontiguousarray(back)).float()


def test_the_facts_tell_what_happened() -> None:
    outcome = split(ratio=0.5)
    facts = outcome.facts
    assert facts["ranks"] == {"body.0.0": 2, "body.2.0": 12, "body.4.0": 24, "body.7": 2}
    assert facts["parameters_before"] == count_parameters(tiny.trained().module)
    saved = [72 - 2 * (3 + 24), 1152 - 12 * (24 + 48), 4608 - 24 * (48 + 96), 96 - 2 * 35]
    assert facts["parameters_after"] == facts["parameters_before"] - sum(saved)
    assert facts["parameters_after"] == count_parameters(outcome.model.module)
    assert facts["macs_after"] < facts["macs_before"]
    assert all(0 < e < 1 for e in facts["energy_kept"].values())


def test_energy_is_kept_and_not_more_than_needed() -> None:
    facts = split(energy=0.8).facts
    assert facts["layers_changed"] and all(e >= 0.8 for e in facts["energy_kept"].values())
    for name in facts["layers_changed"]:
        weight = tiny.trained().module.get_submodule(name).weight.detach()
        matrix = weight if weight.dim() == 2 else weight.permute(1, 2, 0, 3).reshape(weight[0, :, :, 0].numel(), -1)
        energy = np.cumsum(np.linalg.svd(matrix.double().numpy(), compute_uv=False) ** 2)
        assert facts["ranks"][name] == 1 + int(np.searchsorted(energy / energy[-1], 0.8))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_a_budget_is_kept_and_used(share: float) -> None:
    facts = split(parameters=share).facts
    assert share - 0.04 < facts["parameters_after"] / facts["parameters_before"] <= share


def test_a_layer_that_would_not_shrink_is_left_with_the_reason() -> None:
    left = split(ratio=0.5, round_to=8).facts["layers_left_alone"]
    assert left == {
        "body.0.0": "rank 3 of 3 needs 81 weights, it has 72",
        "body.2.0": "rank 16 of 24 needs 1152 weights, it has 1152",
        "body.7": "rank 3 of 3 needs 105 weights, it has 96",
    }
    assert split(ratio=0.5, exclude=["body.4*"]).facts["layers_left_alone"] == {"body.4.0": "excluded"}


def test_layers_that_cannot_be_split_say_why() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(64, 64), nn.Linear(64, 64)
            self.b.weight = self.a.weight
            self.conv = nn.Conv2d(8, 8, 3, groups=2)
            self.attention = nn.MultiheadAttention(64, 2)
            self.zero = nn.Linear(64, 64)
            nn.init.zeros_(self.zero.weight)

    assert factorize.unfit(Tied(), ()) == {
        "a": "its weight is used in several places",
        "b": "its weight is used in several places",
        "conv": "a convolution in groups",
        "attention.out_proj": "a NonDynamicallyQuantizableLinear, not a plain layer",
        "zero": "all its weights are zero",
    }


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"parameters": 0.01}, "the lowest ranks, with round_to 1, leave .* raise parameters"),
        ({"energy": 0.5, "exclude": ["body.8"]}, "'body.8' fits no layer.*did you mean"),
        ({"energy": 0.5, "exclude": ["*"]}, "saves no parameters"),
    ],
)
def test_what_cannot_be_done_raises(params: dict[str, Any], says: str) -> None:
    with pytest.raises(TechniqueError, match=says):
        split(**params)


@pytest.mark.parametrize("params", [{}, {"energy": 0.5, "ratio": 0.5}])
def test_one_rule_for_ranks(params: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="exactly one of energy, ratio, parameters; found"):
        factorize.Params(**params)


@pytest.mark.integration
def test_a_split_network_reloads_splits_again_and_exports(tmp_path: Path) -> None:
    data = tiny.pictures()
    once = split(parameters=0.6, split="channel").model
    twice = split(once, parameters=0.9, split="spatial").model
    assert [c["change"] for c in twice.changes] == ["factorize", "factorize"]
    checkpoint.save(twice, data, tmp_path)
    loaded = checkpoint.load(tmp_path, data)
    assert np.array_equal(tiny.logits(loaded, data), tiny.logits(twice, data))
    assert parity(loaded, export(loaded, data), data) < 1e-3


def test_recovery_wins_accuracy_back() -> None:
    data = tiny.pictures()
    bare = tiny.accuracy(tiny.logits(split(parameters=0.12).model, data), data)
    torch.manual_seed(0)
    outcome = split(parameters=0.12, recover={"epochs": 4, "lr": 0.05, "batch": 32})
    after = tiny.accuracy(tiny.logits(outcome.model, data), data)
    assert bare < 0.9 < 0.95 < after


def test_a_network_without_layers_to_split() -> None:
    network = Network(Normalized(nn.Flatten(), (60.0,), (50.0,), 3), {"arch": "mine"})
    with pytest.raises(TechniqueError, match="saves no parameters"):
        split(network, energy=0.5)
