"""Channels that can be removed from a network of convolutions and linear layers, with all that hangs on them.

Fang et al., *DepGraph: Towards Any Structural Pruning*, 2023 (arXiv:2301.12900): removing a channel takes a row of the
layer that makes it, the entries of the norms behind it, and a column of every layer that reads it; where paths are
added up, the same channel of every layer on them. Torch-Pruning finds these groups by tracing the network.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tasks.core.errors import TechniqueError
from tasks.core.parts import Part, Role, Slice


def channel_parts(module: nn.Module, inputs: tuple[Tensor, ...], output: str) -> list[Part]:
    """Every group of channels of `module` that may get narrower; the layer called `output` keeps its outputs."""
    import torch_pruning as tp

    graph = tp.DependencyGraph().build_dependency(module, inputs)
    names = {m: name for name, m in module.named_modules()}
    keep = [module.get_submodule(output)]
    groups = graph.get_all_groups(ignored_layers=keep, root_module_types=[nn.Conv2d, nn.Linear])
    return [_part(group, graph, names) for group in groups if not any(is_grouped(d.target.module) for d, _ in group)]


def _part(group: Any, graph: Any, names: dict[nn.Module, str]) -> Part:
    slices: list[Slice] = []
    makers: list[str] = []
    for item in group:
        layer, inward = item.dep.target.module, not graph.is_out_channel_pruning_fn(item.dep.handler)
        pairs = [(i, u) for i, u in zip(item.idxs, item.root_idxs, strict=True) if u is not None]
        index, unit = (torch.tensor([pair[k] for pair in pairs], dtype=torch.int64) for k in (0, 1))
        slices += _slices(layer, inward, index, unit)
        if isinstance(layer, nn.Conv2d | nn.Linear) and not inward:
            makers.append(names[layer])
    return Part("channels", len(group[0].idxs), tuple(makers), tuple(slices), lambda units: group.prune(idxs=units))


def _slices(layer: nn.Module, inward: bool, index: Tensor, unit: Tensor) -> list[Slice]:
    """The parameters of one layer of a group; a norm has no inputs of its own."""
    if isinstance(layer, nn.Conv2d | nn.Linear):
        if inward:
            return [Slice(layer.weight, "weight", 1, index, unit)]
        roles: tuple[Role, Role] = ("weight", "bias")
    elif isinstance(layer, nn.modules.batchnorm._BatchNorm | nn.GroupNorm | nn.LayerNorm):
        roles = ("bn_scale" if isinstance(layer, nn.modules.batchnorm._BatchNorm) else "scale", "shift")
    else:
        return []
    found = zip(roles, (layer.weight, layer.bias), strict=True)
    return [Slice(p, role, 0, index, unit) for role, p in found if p is not None]


def is_grouped(layer: nn.Module) -> bool:
    """A convolution in groups that is not depthwise: its channels cannot be removed one by one."""
    return isinstance(layer, nn.Conv2d) and 1 < layer.groups < layer.out_channels


def output_layer(module: nn.Module, inputs: tuple[Tensor, ...]) -> str:
    """The name of the last Conv2d or Linear layer to run: the one that gives the logits."""
    ran: list[str] = []
    hooks = [
        m.register_forward_hook(lambda *_, name=name: ran.append(name))
        for name, m in module.named_modules()
        if isinstance(m, nn.Conv2d | nn.Linear)
    ]
    with torch.no_grad():
        module(*inputs)
    for hook in hooks:
        hook.remove()
    if not ran:
        raise TechniqueError("the network has no Conv2d or Linear layer: it has no channels to cut")
    return ran[-1]
