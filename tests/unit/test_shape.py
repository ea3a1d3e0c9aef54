"""Building, counting, and structural changes that can be replayed."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from tasks.core.changes import apply_changes, resize_between, sizes
from tasks.core.errors import TechniqueError
from tasks.core.shape import body_of, build_like, count_macs, count_parameters, example, spec_of
from tasks.techniques import prune
from tests.unit import tiny


def test_normalisation_is_inside_the_network() -> None:
    data = tiny.pictures()
    network = build_like(tiny.CNN, data)
    raw = torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8)
    by_hand = (raw.float() - 60.0) / 50.0
    assert torch.equal(network.module(raw), body_of(network.module)(by_hand))


def test_mean_and_std_go_by_channel() -> None:
    data = tiny.pictures()
    about = data.preprocess.model_copy(update={"mean": (1.0, 2.0, 3.0), "std": (1.0, 2.0, 4.0), "channels": 3})
    colour = {"images": np.repeat(data.train.inputs["images"][:], 3, axis=1)}
    from dataclasses import replace

    network = build_like(tiny.CNN, replace(data, preprocess=about, train=replace(data.train, inputs=colour)))
    body = body_of(network.module)
    seen: list[torch.Tensor] = []
    body.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    network.module(torch.full((1, 3, 8, 8), 9, dtype=torch.uint8))
    assert [float(seen[0][0, c].mean()) for c in range(3)] == [8.0, 3.5, 1.5]


def test_counts_macs_by_the_book() -> None:
    """Conv: output positions x outputs x inputs x 9; Linear: inputs x outputs."""
    network = build_like({"arch": "small_cnn", "width": 4}, tiny.pictures())
    expected = 64 * 4 * 1 * 9 + 16 * 8 * 4 * 9 + 4 * 16 * 8 * 9 + 16 * 3
    assert count_macs(network.module, example(spec_of(tiny.pictures()), 2)) == expected
    assert not any(m._forward_hooks for m in network.module.modules())


def test_a_change_replayed_gives_the_same_sizes_and_answers() -> None:
    data = tiny.pictures()
    pruned = prune.apply(tiny.trained(), data, prune.Params(ratio=0.5, round_to=2)).model
    again = prune.apply(pruned, data, prune.Params(ratio=0.5, round_to=1)).model
    assert len(again.changes) == 2
    rebuilt = apply_changes(build_like(again.arch, data), again.changes)
    assert sizes(rebuilt.module) == sizes(again.module) and rebuilt.changes == again.changes
    rebuilt.module.load_state_dict(again.module.state_dict())
    assert np.array_equal(tiny.logits(rebuilt, data), tiny.logits(again, data))
    assert count_parameters(rebuilt.module) < count_parameters(pruned.module)


def test_residual_networks_can_be_replayed() -> None:
    data = tiny.pictures()
    torch.manual_seed(0)
    network = build_like({"arch": "resnet", "depth": 8, "width": 8}, data)
    pruned = prune.apply(network, data, prune.Params(ratio=0.5, round_to=1)).model
    rebuilt = apply_changes(build_like(pruned.arch, data), pruned.changes)
    rebuilt.module.load_state_dict(pruned.module.state_dict())
    assert np.array_equal(tiny.logits(rebuilt, data), tiny.logits(pruned, data))


def test_no_change_is_none() -> None:
    module = build_like(tiny.CNN, tiny.pictures()).module
    assert resize_between(module, copy.deepcopy(module)) is None


def test_a_layer_that_cannot_be_recorded_is_refused() -> None:
    before, after = nn.Sequential(nn.PReLU(4)), nn.Sequential(nn.PReLU(2))
    with pytest.raises(TechniqueError, match=r"'0' \(PReLU\).*Conv2d, Linear"):
        resize_between(before, after)
