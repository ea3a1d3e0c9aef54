"""What makes a network shallower or gives it other kernels: where that can be done, and the changes on record.

A change is a function of an untrained module and a change {"change": name, ...}; `tasks.core.changes` lists them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from pydantic import JsonValue
from torch import Tensor, nn

from tasks.core.errors import TechniqueError
from tasks.core.layers import Residual, Sum

Change = Mapping[str, JsonValue]


def skippable(block: nn.Module) -> bool:
    """Whether a network still fits together without the block: it adds something to its own input."""
    return isinstance(block, Sum) or (isinstance(block, Residual) and isinstance(block.shortcut, nn.Identity))


def elastic(layer: nn.Module) -> bool:
    """Whether the kernel may change its size: an odd square of 3 or more, padded so that it stays centred."""
    if type(layer) is not nn.Conv2d or layer.dilation != (1, 1) or layer.padding_mode != "zeros":
        return False
    k = layer.kernel_size[0]
    return layer.kernel_size == (k, k) and k % 2 == 1 and k >= 3 and layer.padding == (k // 2, k // 2)


def skip(module: nn.Module, change: Change) -> None:
    """Put the identity in the place of the blocks of `change["modules"]`, a list of names, in place."""
    blocks = change["modules"]
    assert isinstance(blocks, list | tuple)
    for name in blocks:
        module.set_submodule(str(name), nn.Identity())


def kernel(module: nn.Module, change: Change) -> None:
    """Give the convolutions of `change["modules"]` {name: size} square kernels of that size, in place.

    The weights are cut around their centre, or padded with zeros, which leaves what the layer computes as it was.
    """
    kernels = change["modules"]
    assert isinstance(kernels, Mapping)
    for name, size in kernels.items():
        layer = module.get_submodule(name)
        assert isinstance(layer, nn.Conv2d) and isinstance(size, int)
        weight = layer.weight.detach()
        layer.weight = nn.Parameter(centred(weight, size).clone(memory_format=torch.contiguous_format))
        layer.kernel_size, layer.padding = (size, size), (size // 2, size // 2)
        layer._reversed_padding_repeated_twice = [size // 2] * 4


def centred(weight: Tensor, size: int) -> Tensor:
    """The middle `size` x `size` of (O, I, k, k); with zeros around it where `size` is greater than k."""
    edge = (size - weight.shape[-1]) // 2
    return nn.functional.pad(weight, (edge,) * 4)  # a negative padding cuts


def slim(module: nn.Module, change: Change) -> None:
    """Nothing: the change only says which `widths`, `depths` and `kernels` the weights were trained to serve."""


def stages_of(module: nn.Module) -> tuple[tuple[str, ...], ...]:
    """The runs of blocks that can be skipped, by name; a block inside another such block is not one of its own."""
    stages: list[list[str]] = []
    inside: tuple[str, ...] = ()
    for parent, holder in module.named_modules():
        run: list[str] = []
        for child, block in holder.named_children():
            name = f"{parent}.{child}" if parent else child
            if not skippable(block) or f"{name}.".startswith(inside):
                run = []
                continue
            if not run:
                stages.append(run)
            run.append(name)
            inside = (*inside, f"{name}.")
    return tuple(tuple(run) for run in stages)


def elastic_kernels(module: nn.Module, sizes: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """{layer: its own size and `sizes`, the greatest first}. Raises TechniqueError when that is no choice anywhere."""
    found: dict[str, tuple[int, ...]] = {}
    for name, layer in module.named_modules():
        if sizes and isinstance(layer, nn.Conv2d) and elastic(layer):
            found[name] = tuple(sorted({layer.kernel_size[0], *sizes}, reverse=True))
    found = {name: options for name, options in found.items() if len(options) > 1}
    if sizes and not found:
        raise TechniqueError(
            f"kernels {list(sizes)}: no kernel of the network can take another size; leave kernels out"
        )
    return found
