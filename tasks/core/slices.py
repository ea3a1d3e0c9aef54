"""Running a sub-network in its place: its weights are the first channels and the middles of kernels of the whole.

In training the slices are views of the whole network's weights, put in their place for one pass, so that gradients
reach the whole and a narrow pass costs what the narrow network costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from tasks.core.elastic import centred
from tasks.core.groups import depthwise
from tasks.core.supernet import Config, Space

Cuts = dict[str, tuple[dict[int, Tensor], int | None]]
"""{layer: ({axis of the weight: indices that stay}, size of the kernel or None for all of it)}."""


def channels_kept(channels: int, width: float) -> int:
    """`width` x `channels`, rounded up: at least one."""
    return max(1, ceil(width * channels - 1e-9))


def cuts_of(module: nn.Module, space: Space, config: Config) -> Cuts:
    """What stays of every layer that runs in the sub-network `config`, of those that change."""
    gone: dict[tuple[str, int], set[int]] = {}
    for group, width in zip(space.groups, config.widths, strict=True):
        kept = channels_kept(group.channels, width)
        for axis, way in ((0, group.outs), (1, group.ins)):
            for name, (indices, roots) in way.items():
                out = {i for i, root in zip(indices, roots, strict=True) if root >= kept}
                gone.setdefault((name, axis), set()).update(out)
    cuts: Cuts = {}
    for (name, axis), out in gone.items():
        layer = module.get_submodule(name)
        size = _axis_size(layer, axis)
        if out and size and not (axis == 1 and depthwise(layer)):
            cuts.setdefault(name, ({}, None))[0][axis] = torch.tensor([i for i in range(size) if i not in out])
    for (name, own), kernel in zip(space.kernels.items(), config.kernels, strict=True):
        if kernel != own[0]:
            cuts[name] = (cuts.get(name, ({}, None))[0], kernel)
    skipped = tuple(f"{name}." for name in space.skipped(config))
    return {name: cut for name, cut in cuts.items() if not (skipped and name.startswith(skipped))}


def _axis_size(layer: nn.Module, axis: int) -> int:
    weight = getattr(layer, "weight", None)  # a norm without weights has its running statistics alone
    tensor = weight if isinstance(weight, Tensor) else getattr(layer, "running_mean", None)
    return int(tensor.shape[axis]) if isinstance(tensor, Tensor) and axis < tensor.dim() else 0


def sliced(module: nn.Module, cuts: Cuts) -> dict[str, Tensor]:
    """The tensors of the layers in `cuts`, cut: views of the parameters where they can be, copies of the buffers."""
    found: dict[str, Tensor] = {}
    for name, (axes, kernel) in cuts.items():
        layer = module.get_submodule(name)
        for key, tensor in (*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)):
            part = tensor
            for axis, stay in axes.items():
                if axis < tensor.dim() and (axis == 0 or key == "weight"):
                    part = _first_or_some(part, axis, stay)
            if kernel is not None and key == "weight":
                part = centred(part, kernel)
            found[f"{name}.{key}"] = part if isinstance(tensor, nn.Parameter) else part.clone()
    return found


def _first_or_some(tensor: Tensor, axis: int, stay: Tensor) -> Tensor:
    """A view when the first ones stay."""
    if int(stay[-1]) == len(stay) - 1:
        return tensor.narrow(axis, 0, len(stay))
    return tensor.index_select(axis, stay.to(tensor.device))


@contextmanager
def _shaped(module: nn.Module, skipped: list[str], cuts: Cuts) -> Iterator[None]:
    """`module` with blocks skipped, and the attributes of cut layers that PyTorch reads while it runs."""
    blocks = {name: module.get_submodule(name) for name in skipped}
    before: list[tuple[nn.Module, str, Any]] = []
    for name, (axes, kernel) in cuts.items():
        layer = module.get_submodule(name)
        if kernel is not None:
            before.append((layer, "padding", layer.padding))
            layer.padding = (kernel // 2, kernel // 2)  # type: ignore[assignment]
        if 0 in axes and depthwise(layer):
            before.append((layer, "groups", layer.groups))
            layer.groups = len(axes[0])  # type: ignore[assignment]
    try:
        for name in skipped:
            module.set_submodule(name, nn.Identity())
        yield
    finally:
        for name, block in blocks.items():
            module.set_submodule(name, block)
        for layer, attribute, value in before:
            setattr(layer, attribute, value)


def run(module: nn.Module, space: Space, config: Config, inputs: tuple[Tensor, ...]) -> Tensor:
    """The logits (N, C) of the sub-network `config`; its gradients reach `module`, whose buffers stay as they are."""
    cuts = cuts_of(module, space, config)
    tensors = {name: b.clone() for name, b in module.named_buffers()} | sliced(module, cuts)
    skipped = space.skipped(config)
    tensors = {k: t for k, t in tensors.items() if not k.startswith(tuple(f"{s}." for s in skipped))}
    with _shaped(module, skipped, cuts):
        out: Tensor = functional_call(module, tensors, inputs)
    return out
