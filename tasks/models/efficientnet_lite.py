"""EfficientNet-Lite: EfficientNet without squeeze-and-excitation and with ReLU6, so that INT8 works well.

Tan & Le, *EfficientNet*, 2019 (arXiv:1905.11946), for the network; R. Liu, *Higher accuracy on vision models with
EfficientNet-Lite*, 2020, for the Lite variants: first and last layer keep their width, first and last stage their
depth. 4.65 M parameters for lite0 at 1000 classes, 13.0 M for lite4. The published picture sizes are 224, 240, 260, 280
and 300; any size works.

Pads as TensorFlow does, so that published weights fit: `load` reads them with `names: efficientnet_pytorch`, and the
data's `mean` and `std` must then be 127 and 128. Small pictures: as in mobilenet_v2, see `halvings`; the
weights fit all the same.
*Use when* pictures are 64x64 or larger, or trained weights are to be adapted.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from tasks.core.errors import TechniqueError
from tasks.core.scaling import Axis, multiplier

if TYPE_CHECKING:
    from torch import nn

SCALES = {"width": Axis("width", multiplier), "depth": Axis("depth", multiplier)}
# Kernel, stride, expansion, channels, repeats.
TABLE = (
    *((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3)),
    *((5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1)),
)
# Width, depth, dropout.
VARIANTS = {
    "lite0": (1.0, 1.0, 0.2),
    "lite1": (1.0, 1.1, 0.2),
    "lite2": (1.1, 1.2, 0.3),
    "lite3": (1.2, 1.4, 0.3),
    "lite4": (1.4, 1.8, 0.3),
}
NAMES = {
    "efficientnet_pytorch": (
        (r"^_conv_stem\.", "stem.conv."),
        (r"^_bn0\.", "stem.norm."),
        (r"^_conv_head\.", "head.conv."),
        (r"^_bn1\.", "head.norm."),
        (r"^_fc\.", "classifier."),
        (r"^_blocks\.(\d+)\._(expand|depthwise|project)_conv\.", r"blocks.\1.body.\2.conv."),
        (r"^_blocks\.(\d+)\._bn0\.", r"blocks.\1.body.expand.norm."),
        (r"^_blocks\.(\d+)\._bn1\.", r"blocks.\1.body.depthwise.norm."),
        (r"^_blocks\.(\d+)\._bn2\.", r"blocks.\1.body.project.norm."),
    )
}
"""How other code names the same tensors: patterns and what stands in their place, for the technique `load`."""


def build(
    *,
    shape: tuple[int, ...],
    classes: int,
    variant: Literal["lite0", "lite1", "lite2", "lite3", "lite4"] = "lite0",
    width: Annotated[float, Field(gt=0, le=10)] = 1.0,
    depth: Annotated[float, Field(gt=0, le=10)] = 1.0,
    halvings: Annotated[int, Field(ge=0, le=5)] | None = None,
) -> nn.Module:
    """Untrained. `width` and `depth` multiply those of `variant`. (N, C, H, W) float32 -> (N, classes)."""
    from tasks.core.inverted import Stage, Style, eighths, network

    if len(shape) != 3:
        raise TechniqueError(f"efficientnet_lite: needs pictures (C, H, W), the data's rows are {shape}; try mlp")
    times, deeper, dropout = VARIANTS[variant]
    stages = []
    for place, (kernel, stride, expand, channels, repeats) in enumerate(TABLE):
        fixed = place in (0, len(TABLE) - 1)
        n = repeats if fixed else math.ceil(round(repeats * deeper * depth, 6))
        stages.append(Stage(expand, eighths(channels * times * width), n, stride, kernel))
    style = Style(same=True, eps=1e-3, dropout=dropout)
    return network(stages, shape=shape, classes=classes, stem=32, head=1280, halvings=halvings, style=style)
