"""A plain convolutional network for small pictures (8x8 to 32x32): the one to start with.

Three convolutions with batch normalisation, each twice as wide as the one before, then the mean over the picture.
About 92 k parameters at width 32. *Use when* pictures are small and simple: digits, clothes, symbols.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tasks.core.errors import TechniqueError
from tasks.core.scaling import Axis, whole

if TYPE_CHECKING:
    from torch import nn

SCALES = {"width": Axis("width", whole)}


def build(*, shape: tuple[int, ...], classes: int, width: Annotated[int, Field(ge=1, le=4096)] = 32) -> nn.Module:
    """Untrained. `width` counts the channels of the first convolution. (N, C, H, W) float32 -> (N, classes)."""
    from torch import nn

    from tasks.core.layers import conv_norm

    if len(shape) != 3:
        raise TechniqueError(f"small_cnn: needs pictures (C, H, W), the data's rows are {shape}; try mlp")
    channels, side = shape[0], min(shape[1:])
    layers: list[nn.Module] = []
    for block in range(3):
        layers.append(conv_norm(channels, width * 2**block))
        channels = width * 2**block
        if block < 2 and side >= 4:
            layers.append(nn.MaxPool2d(2))
            side //= 2
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
