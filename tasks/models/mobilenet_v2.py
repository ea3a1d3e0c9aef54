"""MobileNetV2: inverted residuals with depthwise convolutions, made for phones.

Sandler et al., *MobileNetV2: Inverted Residuals and Linear Bottlenecks*, 2018 (arXiv:1801.04381), table 2. 3.50 M
parameters at width 1 and 1000 classes, 2.24 M at 10.

Small pictures: of the five halvings of height and width (224 becomes 7) the first are left out until four rows are
left at the end. So 32x32 pictures are halved three times, the first layer and the second stage having stride 1.
`halvings` says otherwise.
*Use when* pictures are 32x32 or larger and the network must be small and need few multiplications.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tasks.core.errors import TechniqueError
from tasks.core.scaling import Axis, multiplier

if TYPE_CHECKING:
    from torch import nn

SCALES = {"width": Axis("width", multiplier), "depth": Axis("depth", multiplier)}
# Expansion, channels, repeats, stride: t, c, n, s of the paper's table 2.
TABLE = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def build(
    *,
    shape: tuple[int, ...],
    classes: int,
    width: Annotated[float, Field(gt=0, le=10)] = 1.0,
    depth: Annotated[float, Field(gt=0, le=10)] = 1.0,
    halvings: Annotated[int, Field(ge=0, le=5)] | None = None,
) -> nn.Module:
    """Untrained. `width` and `depth` multiply channels and repeats. (N, C, H, W) float32 -> (N, classes)."""
    from tasks.core.inverted import Stage, Style, eighths, network

    if len(shape) != 3:
        raise TechniqueError(f"mobilenet_v2: needs pictures (C, H, W), the data's rows are {shape}; try mlp")
    stages = [Stage(t, eighths(c * width), math.ceil(round(n * depth, 6)), s) for t, c, n, s in TABLE]
    # The last convolution is never narrower than the paper's: section 4.1.
    stem, head = eighths(32 * width), eighths(1280 * max(1.0, width))
    return network(stages, shape=shape, classes=classes, stem=stem, head=head, halvings=halvings, style=Style())
