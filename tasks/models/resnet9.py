"""ResNet-9: nine layers that train to a high accuracy in minutes.

Coleman et al., *DAWNBench: An End-to-End Deep Learning Benchmark and Competition*, 2017, for the contest; D. Page, *How
to Train Your ResNet*, 2018, for the network: convolutions of width w, 2w, 4w and 8w, max-pooling between them, and
residual pairs after the second and the last. The logits are scaled by 0.25, so that softmax
starts soft. 413 k parameters at width 16, 1.65 M at width 32.
*Use when* pictures are about 32x32, and accuracy for minutes of training counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tasks.core.errors import TechniqueError
from tasks.core.scaling import Axis, whole

if TYPE_CHECKING:
    from torch import nn

SCALES = {"width": Axis("width", whole)}


def build(*, shape: tuple[int, ...], classes: int, width: Annotated[int, Field(ge=1, le=4096)] = 16) -> nn.Module:
    """Untrained. `width` is the channel count of the first layer. Shapes: (N, C, H, W) float32 -> (N, classes)."""
    from torch import nn

    from tasks.core.layers import Scaled, Sum, conv_norm

    if len(shape) != 3:
        raise TechniqueError(f"resnet9: needs pictures (C, H, W), the data's rows are {shape}; try mlp")

    def pair(n: int) -> nn.Module:
        return Sum(nn.Sequential(conv_norm(n, n), conv_norm(n, n)))

    def pool() -> nn.Module:
        return nn.MaxPool2d(2, ceil_mode=True)

    w = width
    return nn.Sequential(
        *(conv_norm(shape[0], w), conv_norm(w, 2 * w), pool(), pair(2 * w)),
        *(conv_norm(2 * w, 4 * w), pool(), conv_norm(4 * w, 8 * w), pool(), pair(8 * w)),
        *(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8 * w, classes), Scaled(0.25)),
    )
