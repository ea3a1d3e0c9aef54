"""Any architecture of timm, untrained; needs the extra `timm`.

R. Wightman, *PyTorch Image Models*, 2019 on. Weights are never downloaded, since what a download brings may change:
save them as safetensors and bring them in with `load`, pinned, with `fresh` for a classifier of other classes.
*Use when* an architecture is wanted that tasks/models/ does not have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tasks.core.errors import TechniqueError, nearest

if TYPE_CHECKING:
    from torch import nn


def build(*, shape: tuple[int, ...], classes: int, name: Annotated[str, Field(min_length=1)]) -> nn.Module:
    """Untrained; `name` is timm's. Shapes: (N, C, H, W) float32 -> (N, classes)."""
    from tasks.core.zoo import zoo

    if len(shape) != 3:
        raise TechniqueError(f"timm: needs pictures (C, H, W), the data's rows are {shape}; try mlp")
    timm = zoo("timm")
    if not timm.is_model(name):
        raise TechniqueError(f"timm: found no architecture {name!r}{nearest(name, timm.list_models())}")
    module: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes, in_chans=shape[0])
    return module
