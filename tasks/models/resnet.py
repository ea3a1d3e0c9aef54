"""The residual network for small pictures.

He et al., *Deep Residual Learning for Image Recognition*, 2015 (arXiv:1512.03385), section 4.2: 6n + 2 layers in three
stages, each half as high and twice as wide as the one before. Shortcuts that change size are 1x1 convolutions (the
paper's option B), so that pruning can follow them. 78 k parameters at depth 8 and width 16, 272 k at depth 20.
*Use when* pictures are 32x32 or larger and `small_cnn` is not accurate enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from tasks.core.errors import TechniqueError
from tasks.core.scaling import Axis, whole

if TYPE_CHECKING:
    from torch import nn


def _six_n_plus_two(depth: int) -> int:
    if depth < 8 or depth % 6 != 2:
        raise ValueError(f"{depth} is not 6n + 2; the nearest is {max(8, round((depth - 2) / 6) * 6 + 2)}")
    return depth


def _deeper(depth: int, factor: float) -> int:
    """A depth with `factor` times as many blocks a stage, again 6n + 2."""
    return 6 * whole((depth - 2) // 6, factor) + 2


SCALES = {"width": Axis("width", whole), "depth": Axis("depth", _deeper)}


def build(
    *,
    shape: tuple[int, ...],
    classes: int,
    depth: Annotated[int, Field(le=1202), AfterValidator(_six_n_plus_two)] = 8,
    width: Annotated[int, Field(ge=1, le=4096)] = 16,
) -> nn.Module:
    """Untrained. `width` is the channel count of the first stage. Shapes: (N, C, H, W) float32 -> (N, classes)."""
    from torch import nn

    from tasks.core.layers import Residual, conv_norm

    if len(shape) != 3:
        raise TechniqueError(f"resnet: needs pictures (C, H, W), the data's rows are {shape}; try mlp")
    layers: list[nn.Module] = [conv_norm(shape[0], width)]
    channels = width
    for stage in range(3):
        outputs = width * 2**stage
        for block in range((depth - 2) // 6):
            stride = 2 if stage and not block else 1
            body = nn.Sequential(conv_norm(channels, outputs, stride=stride), conv_norm(outputs, outputs, relu=False))
            same = stride == 1 and channels == outputs
            shortcut = nn.Identity() if same else conv_norm(channels, outputs, kernel=1, stride=stride, relu=False)
            layers.append(Residual(body, shortcut))
            channels = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
