"""Which channels of a network go together, and where each of them stands in the layers that hold it.

Fang et al., *DepGraph: Towards Any Structural Pruning*, 2023 (arXiv:2301.12900), by torch-pruning's dependency graph.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch_pruning as tp
from torch import Tensor, nn

from tasks.core.changes import SIZES
from tasks.core.channels import output_layer

Places = dict[str, tuple[list[int], list[int]]]
"""{layer: (indices along an axis, and for each the channel of the group that it belongs to)}."""


class Group(NamedTuple):
    """`channels` that go together, and where they stand: in the outputs and in the inputs of layers."""

    name: str
    channels: int
    outs: Places
    ins: Places


def channel_groups(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[tuple[Group, ...], dict[str, str]]:
    """The groups of which channels can be cut off, and {layer: why} for the others."""
    names = {id(m): name for name, m in module.named_modules()}
    output = output_layer(module, inputs)
    graph = tp.DependencyGraph().build_dependency(module, inputs)
    groups, left = [], {output: "gives the logits"}
    keep = [module.get_submodule(output)]
    for found in graph.get_all_groups(ignored_layers=keep, root_module_types=[nn.Conv2d, nn.Linear]):
        group = Group(names[id(found[0].dep.target.module)], len(found[0].idxs), {}, {})
        reason = "" if group.channels > 1 else "it has one channel"
        for item in found:
            layer = item.dep.target.module
            reason = reason or _cannot_cut(layer, names.get(id(layer)))
            if id(layer) in names:
                # The two are one function for a norm or a depthwise convolution: there it counts as an output.
                way = group.outs if graph.is_out_channel_pruning_fn(item.dep.handler) else group.ins
                way[names[id(layer)]] = (list(item.idxs), list(item.root_idxs))
        if reason:
            left[group.name] = reason
        else:
            groups.append(group)
    return tuple(groups), left


def _cannot_cut(layer: nn.Module, name: str | None) -> str:
    """Why a member keeps its group whole, or an empty text. Members without a name are torch-pruning's own."""
    if name is None:
        return "tied to a parameter outside any layer" if isinstance(layer, nn.Parameter) else ""
    if type(layer) not in SIZES and any(True for _ in layer.parameters()):
        return f"tied to {name!r}, a {type(layer).__name__}, which cannot be cut"
    in_groups = isinstance(layer, nn.Conv2d) and layer.groups > 1 and not depthwise(layer)
    return f"tied to {name!r}, a convolution in groups" if in_groups else ""


def depthwise(layer: nn.Module) -> bool:
    """A convolution with one input for each output."""
    return isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels == layer.out_channels > 1


def sort_channels(module: nn.Module, groups: tuple[Group, ...]) -> None:
    """Put the channels with the largest weights first in every group, in place; the answers stay as they are.

    What a channel is worth is the sum of squares of all convolutional and linear weights that make it or read it
    (Cai et al. 2019, section 3.3, sorts by the sum of absolute values).
    """
    for group in groups:
        order = torch.argsort(worth(module, group), descending=True, stable=True)
        for way, axis in ((group.outs, 0), (group.ins, 1)):
            for name, (indices, roots) in way.items():
                _reorder(module.get_submodule(name), axis, indices, roots, order)


def worth(module: nn.Module, group: Group) -> Tensor:
    """(channels,) float64: the sum of squares of each channel's weights."""
    total = torch.zeros(group.channels, dtype=torch.float64)
    for way, axis in ((group.outs, 0), (group.ins, 1)):
        for name, (indices, roots) in way.items():
            layer = module.get_submodule(name)
            if isinstance(layer, nn.Conv2d | nn.Linear):
                squares = layer.weight.detach().double().square().transpose(0, axis).flatten(1).sum(1)
                total.index_add_(0, torch.tensor(roots), squares[indices])
    return total


def _reorder(layer: nn.Module, axis: int, indices: list[int], roots: list[int], order: Tensor) -> None:
    """Move what stands at `indices` of `axis`, channel by channel, into `order`."""
    of_root: dict[int, list[int]] = {}
    for index, root in zip(indices, roots, strict=True):
        of_root.setdefault(root, []).append(index)
    source = [i for root in order.tolist() for i in of_root[root]]
    target = [i for root in range(len(order)) for i in of_root[root]]
    tensors = [layer.weight] if axis else [*layer.parameters(), *(b for b in layer.buffers() if b.dim() > 0)]
    for tensor in tensors:
        assert isinstance(tensor, Tensor)
        with torch.no_grad():
            tensor.index_copy_(axis, torch.tensor(target), tensor.detach().index_select(axis, torch.tensor(source)))
