"""Networks of inverted residuals: narrow, expanded, filtered one channel at a time, narrow again.

Sandler et al., *MobileNetV2: Inverted Residuals and Linear Bottlenecks*, 2018 (arXiv:1801.04381). Batch normalisation
after every convolution, ReLU6 after all but the last of a block. Shapes: N = rows, C = channels, H, W = height, width.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

HALVINGS = 5
"""How often these networks halve height and width: 224 becomes 7."""


class Stage(NamedTuple):
    """`repeats` blocks of `channels` outputs; the first has the stride. A block is `expand` times as wide inside."""

    expand: int
    channels: int
    repeats: int
    stride: int
    kernel: int = 3


class Style(NamedTuple):
    """What two families of these networks do differently.

    `same` pads as TensorFlow does, an odd row going below and right; otherwise padding is the same on all sides.
    """

    same: bool = False
    eps: float = 1e-5
    dropout: float = 0.2


class Inverted(nn.Module):
    """body(x), plus x where the shape stays (figure 3d of the paper)."""

    def __init__(self, body: nn.Module, skip: bool) -> None:
        super().__init__()
        self.body, self.skip = body, skip

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H', W')."""
        out: Tensor = self.body(x)
        return x + out if self.skip else out


def eighths(channels: float) -> int:
    """The multiple of 8 nearest to `channels`, but never more than a tenth below it."""
    found = max(8, int(channels + 4) // 8 * 8)
    return found + 8 if found < 0.9 * channels else found


def halvings_for(shape: tuple[int, ...]) -> int:
    """How many of the five halvings leave at least four rows and columns: 5 from 128 pixels on, 3 at 32."""
    side = min(shape[1:])
    return max(n for n in range(HALVINGS + 1) if n == 0 or math.ceil(side / 2**n) >= 4)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after an axis so that ceil(size / stride) places come out; the odd one comes after."""
    total = max(0, (math.ceil(size / stride) - 1) * stride + kernel - size)
    return total // 2, total - total // 2


class Builder:
    """Makes layers one after another, keeping track of channels and of height and width."""

    def __init__(self, shape: tuple[int, ...], halvings: int, style: Style) -> None:
        self.channels, self.size, self.style = shape[0], shape[1:], style
        self.spare = HALVINGS - halvings

    def stride(self, stride: int) -> int:
        """`stride`, or 1 for the first halvings of a picture that is too small for all of them."""
        if stride == 1:
            return 1
        self.spare -= 1
        return stride if self.spare < 0 else 1

    def conv(
        self, outputs: int, *, kernel: int = 1, stride: int = 1, relu: bool = True, depthwise: bool = False
    ) -> nn.Module:
        """Convolution, batch normalisation and, unless told otherwise, ReLU6; depthwise keeps the channels."""
        pads = [same_padding(n, kernel, stride) if self.style.same else (kernel // 2,) * 2 for n in self.size]
        (top, bottom), (left, right) = pads
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        if (bottom, right) != (top, left):
            parts["pad"] = nn.ZeroPad2d((0, right - left, 0, bottom - top))
        groups = self.channels if depthwise else 1
        parts["conv"] = nn.Conv2d(
            self.channels, outputs, kernel, stride=stride, padding=(top, left), groups=groups, bias=False
        )
        parts["norm"] = nn.BatchNorm2d(outputs, eps=self.style.eps)
        if relu:
            parts["relu"] = nn.ReLU6()
        self.channels, self.size = outputs, tuple(math.ceil(n / stride) for n in self.size)
        return nn.Sequential(parts)

    def block(self, outputs: int, *, expand: int, kernel: int, stride: int) -> nn.Module:
        """One inverted residual."""
        inputs = self.channels
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        if expand > 1:
            parts["expand"] = self.conv(inputs * expand)
        parts["depthwise"] = self.conv(self.channels, kernel=kernel, stride=stride, depthwise=True)
        parts["project"] = self.conv(outputs, relu=False)
        return Inverted(nn.Sequential(parts), skip=stride == 1 and inputs == outputs)


def network(
    stages: Sequence[Stage],
    *,
    shape: tuple[int, ...],
    classes: int,
    stem: int,
    head: int,
    halvings: int | None,
    style: Style,
) -> nn.Module:
    """The whole network, untrained. (N, C, H, W) float32 -> (N, classes). `halvings` None: as `halvings_for` says."""
    make = Builder(shape, halvings_for(shape) if halvings is None else halvings, style)
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["stem"] = make.conv(stem, kernel=3, stride=make.stride(2))
    blocks: list[nn.Module] = []
    for stage in stages:
        for k in range(stage.repeats):
            stride = make.stride(stage.stride) if k == 0 else 1
            blocks.append(make.block(stage.channels, expand=stage.expand, kernel=stage.kernel, stride=stride))
    parts["blocks"] = nn.Sequential(*blocks)
    parts["head"] = make.conv(head)
    parts["pool"], parts["flat"] = nn.AdaptiveAvgPool2d(1), nn.Flatten()
    parts["dropout"], parts["classifier"] = nn.Dropout(style.dropout), nn.Linear(head, classes)
    return nn.Sequential(parts)
