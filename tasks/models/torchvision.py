"""Any classifier of torchvision, untrained; needs the extra `torchvision`, built for the installed PyTorch.

TorchVision maintainers, *TorchVision: PyTorch's Computer Vision library*, 2016 on. Weights are never downloaded, since
what a download brings may change: bring a file in with `load`, pinned, with `fresh` for a classifier of other classes.
*Use when* an architecture is wanted that tasks/models/ does not have; pictures must be RGB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tasks.core.errors import TechniqueError, nearest

if TYPE_CHECKING:
    from torch import nn


def build(*, shape: tuple[int, ...], classes: int, name: Annotated[str, Field(min_length=1)]) -> nn.Module:
    """Untrained; `name` is torchvision's. Shapes: (N, 3, H, W) float32 -> (N, classes)."""
    from tasks.core.zoo import zoo

    if len(shape) != 3 or shape[0] != 3:
        raise TechniqueError(f"torchvision: needs RGB pictures (3, H, W), the data's rows are {shape}")
    models = zoo("torchvision").models
    known = models.list_models(module=models)
    if name not in known:
        raise TechniqueError(f"torchvision: found no classifier {name!r}{nearest(name, known)}")
    module: nn.Module = models.get_model(name, weights=None, num_classes=classes)
    return module
