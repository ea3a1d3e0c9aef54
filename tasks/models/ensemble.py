"""Several networks of the same data that answer as one: what the technique `ensemble` trains.

Lakshminarayanan, Pritzel & Blundell, *Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles*, 2017
(arXiv:1612.01474). *Use when* accuracy counts more than size, or as the teacher of a `distill`; `technique: ensemble`
trains the members one by one, `technique: train` on this architecture all of them together.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from tasks.core.contract import ModelChoice

if TYPE_CHECKING:
    from torch import nn


def build(
    *,
    shape: tuple[int, ...],
    classes: int,
    members: Annotated[tuple[ModelChoice, ...], Field(min_length=2, max_length=64)],
    combine: Literal["probabilities", "logits"] = "probabilities",
) -> nn.Module:
    """Untrained. `members` are `model:` blocks; `combine` says what is averaged. Shapes: as the members'."""
    from tasks.core.committee import Committee

    bodies = []
    for block in members:
        own = {key: value for key, value in block.items() if key != "arch"}
        architecture = import_module(f"tasks.models.{block['arch']}")
        bodies.append(architecture.build(shape=shape, classes=classes, **own))
    return Committee(bodies, combine)
