"""Structured pruning: the smallest channels go, nothing else changes, and recovery wins accuracy back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tasks.core.allocation import kept as kept_units
from tasks.core.contract import Network
from tasks.core.shape import body_of, build_like, count_parameters
from tasks.techniques import prune
from tests.unit import tiny


def pruned(parent: Network | None = None, **params: object) -> prune.Outcome:  # type: ignore[name-defined]
    return prune.apply(parent or tiny.trained(), tiny.pictures(), prune.Params(**{"round_to": 1} | params))


@pytest.mark.parametrize(
    ("channels", "ratio", "round_to", "kept"),
    [
        (32, 0.5, 8, 16),
        (16, 0.1, 8, 16),
        (16, 0.25, 8, 16),
        (16, 0.3, 8, 8),
        (32, 0.9, 8, 8),
        (32, 0.99, 1, 1),
        (6, 0.5, 8, 6),
        (10, 0.5, 1, 5),
    ],
)
def test_keeps_the_nearest_multiple_and_never_nothing(channels: int, ratio: float, round_to: int, kept: int) -> None:
    assert kept_units(channels, ratio, round_to) == kept


def test_channels_that_do_nothing_go_first_and_the_answers_stay() -> None:
    """Half the channels of a layer are silenced: removing them cannot change a logit."""
    network, data = tiny.trained(), tiny.pictures()
    body = body_of(network.module)
    silent = [1, 3, 4, 6]
    first, norm, after = body[0][0], body[0][1], body[2][0]  # type: ignore[index]
    with torch.no_grad():
        for tensor in (first.weight, norm.weight, norm.bias, norm.running_mean):
            tensor[silent] = 0
        after.weight[:, silent] = 0
        for layer in (body[2], body[4]):  # type: ignore[index]
            layer[0].weight[8:] *= 1e-12 if layer is body[2] else 1  # type: ignore[index]
    small = body_of(pruned(network, ratio=0.5).model.module)
    assert torch.equal(small[0][0].weight, first.weight[[0, 2, 5, 7]])  # type: ignore[index]
    assert tiny.logits(network, data).shape == (64, 3)


def test_sizes_follow_the_ratio_and_the_classes_stay() -> None:
    outcome = pruned(ratio=0.5)
    widths = [len(m.weight) for m in outcome.model.module.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert widths == [4, 8, 16, 3]
    facts = outcome.facts
    assert facts["parameters_before"] == count_parameters(tiny.trained().module)
    assert facts["parameters_after"] == count_parameters(outcome.model.module)
    assert 3.5 < facts["macs_before"] / facts["macs_after"] < 4
    assert facts["layers_changed"] == ["body.0.0", "body.2.0", "body.4.0"]
    assert facts["layers_left_alone"] == {"body.7": "gives the logits"}


def test_says_why_a_layer_was_left_alone() -> None:
    left = pruned(ratio=0.5, round_to=8).facts["layers_left_alone"]
    assert left["body.0.0"] == "no smaller multiple of 8 is nearer to what its 8 outputs should become"
    assert set(left) == {"body.0.0", "body.7"}


def test_layers_tied_by_a_shortcut_shrink_together() -> None:
    torch.manual_seed(0)
    network = build_like({"arch": "resnet", "depth": 8, "width": 8}, tiny.pictures())
    module = pruned(network, ratio=0.5).model.module
    assert tiny.logits(Network(module, {}), tiny.pictures()).shape == (64, 3)
    assert {len(m.weight) for m in module.modules() if isinstance(m, nn.Conv2d)} == {4, 8, 16}


def test_a_perceptron_is_pruned_by_neurons() -> None:
    outcome = prune.apply(tiny.trained("numbers"), tiny.numbers(), prune.Params(ratio=0.5, round_to=1))
    assert [m.weight.shape for m in outcome.model.module.modules() if isinstance(m, nn.Linear)] == [
        (16, 6),
        (8, 16),
        (3, 8),
    ]


def test_recovery_imitates_the_parent() -> None:
    data = tiny.pictures()
    bare = tiny.accuracy(tiny.logits(pruned(ratio=0.75).model, data), data)
    torch.manual_seed(0)
    recovered = pruned(ratio=0.75, recover={"epochs": 6, "lr": 0.05, "batch": 32})
    after = tiny.accuracy(tiny.logits(recovered.model, data), data)
    assert after > 0.95 and after >= bare
    assert recovered.facts["epochs_trained"] == 6


def test_a_grouped_convolution_is_left_whole() -> None:
    data = tiny.pictures()
    body = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.Conv2d(8, 8, 3, groups=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )
    from tasks.core.layers import Normalized

    network = Network(Normalized(body, (60.0,), (50.0,), 3).eval(), {"arch": "mine"})
    with pytest.raises(prune.TechniqueError, match="removes no channel"):
        pruned(network, ratio=0.5)
    assert np.isfinite(tiny.logits(network, data)).all()
