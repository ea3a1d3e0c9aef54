"""How strongly the inputs of a layer are excited by real data."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tasks.core.arrays import batches
from tasks.core.contract import Split
from tasks.core.device import best_device, bring_back, place, placed

ROWS = 32


def input_squares(layer: nn.Conv2d | nn.Linear, x: Tensor) -> Tensor:
    """The sum of squares, over rows and places, of what each weight is multiplied with.

    Shapes: Linear, x (..., in) -> (1, in). Conv2d, x (N, in, H, W) -> (1 or out, in / groups, kernel height, width).
    """
    squares = x.detach().double().square()
    if isinstance(layer, nn.Linear):
        return squares.reshape(-1, squares.shape[-1]).sum(0, keepdim=True)
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    padded = nn.functional.pad(squares, layer._reversed_padding_repeated_twice, mode=mode)
    patches = nn.functional.unfold(padded, layer.kernel_size, dilation=layer.dilation, stride=layer.stride)
    by_group = patches.sum((0, 2)).reshape(layer.groups, layer.in_channels // layer.groups, *layer.kernel_size)
    return by_group if layer.groups == 1 else by_group.repeat_interleave(layer.out_channels // layer.groups, 0)


def input_norms(module: nn.Module, layers: Mapping[str, nn.Conv2d | nn.Linear], split: Split) -> dict[str, Tensor]:
    """The L2 norm, over `split`, of what each weight of `layers` is multiplied with; broadcasts against the weight.

    A layer that does not run is not in the result. `module` is in eval mode and ends on the processor.
    """
    sums: dict[str, Tensor] = {}

    def add(name: str, layer: nn.Conv2d | nn.Linear, x: Tensor) -> None:
        found = input_squares(layer, x)
        sums[name] = sums[name] + found if name in sums else found

    hooks = [
        layer.register_forward_pre_hook(lambda m, args, name=name: add(name, m, args[0]))
        for name, layer in layers.items()
    ]
    device = best_device()
    place(module, device)
    with torch.no_grad():
        for inputs, _ in batches(split, ROWS):
            module(*(placed(torch.tensor(x), device) for x in inputs.values()))
    for hook in hooks:
        hook.remove()
    bring_back(module)
    return {name: total.sqrt().float().cpu() for name, total in sums.items()}
