"""A network with exits on the way: classifiers after some of its layers.

Teerapittayanon et al., *BranchyNet*, 2017 (arXiv:1709.01686). Only a chain of layers, an nn.Sequential with one input,
can be cut; exits stand between its layers. Shapes: N = batch, C = classes.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Self

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from tasks.core.arrays import pick
from tasks.core.contract import Data, Network
from tasks.core.errors import TechniqueError
from tasks.core.exit_graph import HIDDEN, answers
from tasks.core.export import LOGITS, PARITY_ROWS, at_every_level, relative_difference, to_onnx
from tasks.core.layers import Normalized, conv_norm


class ExitNet(nn.Module):
    """`front` (from raw input to the first segment's), the segments, and a head after each but the last."""

    def __init__(
        self, front: nn.Module, segments: Sequence[nn.Module], heads: Sequence[nn.Module], frozen: bool
    ) -> None:
        super().__init__()
        self.front, self.frozen = front, frozen
        self.segments, self.heads = nn.ModuleList(segments), nn.ModuleList(heads)
        if frozen:
            self.segments.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """A frozen backbone keeps its running statistics."""
        super().train(mode)
        if self.frozen:
            self.segments.eval()
        return self

    def answers(self, raw: Tensor) -> list[Tensor]:
        """The logits (N, C) of every exit, the end's last."""
        x, out = self.front(raw), []
        for segment, head in zip(self.segments, [*self.heads, nn.Identity()], strict=True):
            x = segment(x)
            out.append(head(x))
        return out

    def forward(self, raw: Tensor) -> Tensor:
        """The end's logits."""
        return self.answers(raw)[-1]


class Segment(nn.Module):
    """What is exported as one graph: (logits of the exit, hidden) of the layers up to it, or the end's logits."""

    def __init__(self, front: nn.Module, layers: nn.Module, head: nn.Module | None) -> None:
        super().__init__()
        self.front, self.layers, self.head = front, layers, head

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """From raw input, or from what the segment before gives."""
        hidden: Tensor = self.layers(self.front(x))
        return hidden if self.head is None else (self.head(hidden), hidden)


def front_of(network: Network) -> nn.Module:
    """The network without its body: from raw input to normalised float32."""
    if not isinstance(network.module, Normalized):
        return nn.Identity()
    front = copy.deepcopy(network.module)
    front.body = nn.Identity()
    return front


def head_for(shape: tuple[int, ...], classes: int, kind: str) -> nn.Module:
    """An untrained classifier of features of `shape`: their mean over the picture, or a convolution before it."""
    if len(shape) == 1:
        return nn.Linear(shape[0], classes)
    if len(shape) != 3:
        raise TechniqueError(f"early_exit: no exit can stand on features of shape {shape}; (F,) or (F, H, W) can")
    mean = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(shape[0], classes)]
    return nn.Sequential(*([conv_norm(shape[0], shape[0], stride=2)] if kind == "conv" else []), *mean)


def with_exits(front: nn.Module, body: nn.Sequential, heads: dict[str, nn.Module], frozen: bool) -> ExitNet:
    """A copy of the chain, cut after every layer that has a head."""
    segments: list[list[nn.Module]] = [[]]
    for name, layer in copy.deepcopy(body).named_children():
        segments[-1].append(layer)
        if name in heads:
            segments.append([])
    return ExitNet(copy.deepcopy(front), [nn.Sequential(*s) for s in segments], [*heads.values()], frozen)


def exported(net: ExitNet, data: Data) -> list[onnx.ModelProto]:
    """Each segment as ONNX; TechniqueError when they, however optimized, do not answer as the network does."""
    val = data.split("val")
    some = pick(val, np.arange(min(PARITY_ROWS, len(val))))
    ((name, rows),) = some.inputs.items()
    raw = torch.from_numpy(np.array(rows[:]))
    out, step = [], raw[:2]
    with torch.no_grad():
        for index, layers in enumerate(net.segments):
            front, given = (nn.Identity(), f"{HIDDEN}_in") if index else (net.front, name)
            if index == len(net.heads):
                out.append(to_onnx(Segment(front, layers, None), (step,), [given], [LOGITS]))
                break
            part = Segment(front, layers, net.heads[index]).eval()
            out.append(to_onnx(part, (step,), [given], [LOGITS, HIDDEN]))
            step = part(step)[1]
        reference = [x.numpy() for x in net.eval().answers(raw)]
    at_every_level(
        lambda level: max(map(relative_difference, answers(out, some, level), reference)),
        "parity: an exit in ONNX Runtime and in PyTorch",
    )
    return out
