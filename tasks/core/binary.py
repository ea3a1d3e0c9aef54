"""Weights of two or three values an output, and training through the step that makes them.

binary   alpha * sign(w), alpha the output's mean |w|: Rastegari et al., *XNOR-Net*, 2016 (arXiv:1603.05279)
ternary  alpha * sign(w) where |w| > delta, else 0; delta = 0.7 times the output's mean |w|, alpha the mean |w| of those
         above it: Li et al., *Ternary Weight Networks*, 2016 (arXiv:1605.04711), by output where they go by layer
The gradient passes the step as if it were not there, to a float weight behind it (Courbariaux et al. 2016,
arXiv:1602.02830).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tasks.core.sparsity import Layer

Levels = Literal["binary", "ternary"]
DELTA = 0.7


def signs_and_scale(weight: Tensor, levels: Levels) -> tuple[Tensor, Tensor]:
    """(signs of the weight's shape, -1, 0 or 1; scale (out, 1, ...)), whose product stands for `weight`.

    The sign of zero is 1. An output whose weights are all zero has scale 0.
    """
    axes = tuple(range(1, weight.dim()))
    size = weight.abs()
    if levels == "binary":
        return torch.where(weight >= 0, 1.0, -1.0).to(weight), size.mean(axes, keepdim=True)
    above = (size > DELTA * size.mean(axes, keepdim=True)).to(weight)
    scale = (size * above).sum(axes, keepdim=True) / above.sum(axes, keepdim=True).clamp(min=1)
    return weight.sign() * above, scale


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, levels: Levels) -> Tensor:
        signs, scale = signs_and_scale(weight, levels)
        return signs * scale

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0], None


class Stepped(nn.Module):
    """A parametrization: a float weight in, its two or three values out; gradients pass unchanged."""

    def __init__(self, levels: Levels) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, weight: Tensor) -> Tensor:
        """Any weight with outputs first."""
        out: Tensor = _Step.apply(weight, self.levels)  # type: ignore[no-untyped-call]
        return out

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The float weight to start from: the weight itself."""
        return weight


@contextmanager
def stepped(layers: Mapping[str, Layer], levels: Levels) -> Iterator[None]:
    """Within it the layers have two or three values and train the floats behind them; afterwards the values remain."""
    for layer in layers.values():
        parametrize.register_parametrization(layer, "weight", Stepped(levels))
    try:
        yield
    finally:
        for layer in layers.values():
            parametrize.remove_parametrizations(layer, "weight")


def parts(module: nn.Module, layers: Mapping[str, Layer]) -> dict[str, Any]:
    """The state of `module` as arrays, with each stepped weight as int8 signs and float32 scale: its product again."""
    arrays: dict[str, Any] = {name: t.detach().numpy() for name, t in module.state_dict().items()}
    for name, layer in layers.items():
        weight = layer.weight.detach()
        scale = weight.abs().amax(tuple(range(1, weight.dim())), keepdim=True)
        del arrays[f"{name}.weight"]
        arrays[f"{name}.weight.signs"] = torch.where(weight == 0, 0, weight.sign()).to(torch.int8).numpy()
        arrays[f"{name}.weight.scale"] = scale.numpy()
    return arrays
