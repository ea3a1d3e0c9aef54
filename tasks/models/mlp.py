"""A multilayer perceptron: fully connected layers with ReLU between them.

*Use when* rows are plain numbers; a picture is flattened first.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tasks.core.scaling import Axis, wholes

if TYPE_CHECKING:
    from torch import nn

SCALES = {"width": Axis("hidden", wholes)}


def build(
    *, shape: tuple[int, ...], classes: int, hidden: tuple[Annotated[int, Field(ge=1, le=65536)], ...] = (64,)
) -> nn.Module:
    """Untrained. `hidden` are the sizes of the layers between. Shapes: (N, *shape) float32 -> (N, classes)."""
    from torch import nn

    sizes = (math.prod(shape), *hidden)
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], classes))
