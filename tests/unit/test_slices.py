"""Sub-networks: run in place, cut out, masked and pruned by hand, they are one and the same function."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import Any

import pytest
import torch
import torch_pruning as tp
from torch import Tensor, nn

from tasks.core import checkpoint
from tasks.core.contract import Network
from tasks.core.elastic import centred, kernel, stages_of
from tasks.core.extract import cut_out
from tasks.core.groups import sort_channels
from tasks.core.shape import body_of, example, spec_of
from tasks.core.slices import run
from tasks.core.supernet import Config, Space
from tests.unit import supernets, tiny

each = pytest.mark.parametrize("block", supernets.EVERY, ids=lambda b: b["arch"])


def configs(space: Space, n: int = 6) -> list[Config]:
    generator = random.Random(0)
    drawn = [space.sample(generator, space.choices) for _ in range(n)]
    return [space.greatest(), space.smallest(), *drawn]


@each
def test_run_in_place_and_cut_out_answer_alike(block: dict[str, Any]) -> None:
    network, x = supernets.untrained(block), tiny.inputs(tiny.pictures())
    space = supernets.space_for(network)
    with torch.no_grad():
        for config in configs(space):
            part = cut_out(network, space, config).module
            assert torch.allclose(run(network.module, space, config, x), part(*x), atol=1e-6), config
        assert torch.equal(run(network.module, space, space.greatest(), x), network.module(*x))


@contextmanager
def masked(module: nn.Module, space: Space, width: float) -> Iterator[None]:
    """After each layer of a group, what follows its first channels is zero: the definition of a narrow network."""

    def hook(kept: list[int]) -> Any:
        def zeroed(_: nn.Module, __: Any, out: Tensor) -> Tensor:
            mask = torch.zeros(out.shape[1]).index_fill_(0, torch.tensor(kept), 1.0)
            return out * mask.reshape(1, -1, *[1] * (out.dim() - 2))

        return zeroed

    handles = []
    for group in space.groups:
        keep = ceil(width * group.channels)
        for name, (indices, roots) in group.outs.items():
            kept = [i for i, root in zip(indices, roots, strict=True) if root < keep]
            handles.append(module.get_submodule(name).register_forward_hook(hook(kept)))
    yield
    for handle in handles:
        handle.remove()


@each
def test_a_narrow_network_is_the_whole_one_with_its_last_channels_zeroed(block: dict[str, Any]) -> None:
    network, x = supernets.untrained(block), tiny.inputs(tiny.pictures())
    space = supernets.space_for(network, depths=False)
    for width in (0.5, 0.25):
        part = cut_out(network, space, space.uniform(width)).module
        with torch.no_grad(), masked(network.module, space, width):
            assert torch.allclose(network.module(*x), part(*x), atol=1e-5)


def test_torch_pruning_cuts_the_same_network() -> None:
    network, data = supernets.untrained(supernets.RESNET), tiny.pictures()
    space, other = supernets.space_for(network, depths=False), copy.deepcopy(network.module)
    graph = tp.DependencyGraph().build_dependency(other, example(spec_of(data), 2))
    keep = [m for m in other.modules() if isinstance(m, nn.Linear)]
    for group in list(graph.get_all_groups(ignored_layers=keep, root_module_types=[nn.Conv2d])):
        n = len(group[0].idxs)
        group.prune(idxs=list(range(ceil(n / 2), n)))
    part = cut_out(network, space, space.uniform(0.5)).module
    assert all(torch.equal(t, other.state_dict()[name]) for name, t in part.state_dict().items())


@each
def test_a_pass_leaves_the_network_as_it_was_but_for_its_gradients(block: dict[str, Any]) -> None:
    network, x = supernets.untrained(block), tiny.inputs(tiny.pictures())
    space = supernets.space_for(network)
    module = network.module.train()
    before, names = copy.deepcopy(module.state_dict()), [(n, repr(m)) for n, m in module.named_modules()]
    run(module, space, space.smallest(), x).square().sum().backward()  # type: ignore[no-untyped-call]
    assert all(torch.equal(t, before[name]) for name, t in module.state_dict().items())
    assert [(n, repr(m)) for n, m in module.named_modules()] == names
    first = next(p for p in module.parameters() if p.dim() > 1)
    assert first.grad is not None and first.grad[0].abs().sum() > 0 and first.grad[-1].abs().sum() == 0


@each
def test_sorting_channels_keeps_the_answers_and_puts_the_largest_first(block: dict[str, Any]) -> None:
    network, data = supernets.untrained(block), tiny.pictures()
    space, before = supernets.space_for(network), tiny.logits(network, data)
    sort_channels(network.module, space.groups)
    assert abs(tiny.logits(network, data) - before).max() < 1e-5
    from tasks.core.groups import worth

    for group in space.groups:
        values = worth(network.module, group)
        assert (values[:-1] >= values[1:] - 1e-9).all()


def test_a_depthwise_layer_shrinks_with_its_channels_and_a_grouped_one_keeps_them() -> None:
    def network(groups: int) -> Network:
        layers = [nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3, groups=groups), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return Network(nn.Sequential(*layers, nn.Linear(8, 3)).eval(), {"arch": "mine"})

    from tasks.core.supernet import Choices, space_of

    x = (torch.rand(4, 1, 8, 8),)
    deep = network(8)
    space = space_of(deep.module, x, Choices((1.0, 0.5), (1.0,), ()), {})
    part = cut_out(deep, space, space.smallest()).module
    assert part[1].groups == 4 and part[1].weight.shape == (4, 1, 3, 3)  # type: ignore[index]
    assert torch.allclose(run(deep.module, space, space.smallest(), x), part(*x), atol=1e-6)
    with pytest.raises(Exception, match="a convolution in groups"):
        space_of(network(2).module, x, Choices((1.0, 0.5), (1.0,), ()), {})


def test_a_larger_kernel_with_zeros_around_computes_the_same() -> None:
    network, data = supernets.untrained(tiny.CNN), tiny.pictures()
    before, weight = tiny.logits(network, data), body_of(network.module)[0][0].weight.detach().clone()  # type: ignore[index]
    kernel(network.module, {"change": "kernel", "modules": {"body.0.0": 7}})
    layer = body_of(network.module)[0][0]  # type: ignore[index]
    assert layer.weight.shape[-1] == 7 and abs(tiny.logits(network, data) - before).max() < 1e-5
    assert torch.equal(centred(layer.weight, 3), weight) and torch.equal(weight[..., 1:2, 1:2], centred(weight, 1))


def test_stages_are_runs_of_blocks_that_can_be_skipped() -> None:
    # Resnet 14: two blocks a stage, of which the first of the second and third stage changes the size.
    assert stages_of(body_of(supernets.untrained(supernets.RESNET).module)) == (("1", "2"), ("4",), ("6",))
    assert stages_of(body_of(supernets.untrained(supernets.RESNET9).module)) == (("3",), ("8",))
    assert stages_of(body_of(supernets.untrained(tiny.CNN).module)) == ()


@each
def test_a_sub_network_is_rebuilt_from_its_record(block: dict[str, Any], tmp_path: Path) -> None:
    network, data = supernets.untrained(block), tiny.pictures()
    space = supernets.space_for(network)
    for k, config in enumerate(configs(space, 2)):
        part = cut_out(network, space, config)
        checkpoint.save(part, data, tmp_path / str(k))
        assert (tiny.logits(checkpoint.load(tmp_path / str(k), data), data) == tiny.logits(part, data)).all()
