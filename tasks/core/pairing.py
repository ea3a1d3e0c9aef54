"""One pair of layers, of a student and its teacher, and the loss that pulls them together (see tasks.core.matching).

Shapes: S and T = features of the student's and the teacher's layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tasks.core.contract import Data
from tasks.core.errors import TechniqueError
from tasks.core.matching import attention_loss, cosine_loss, hidden_loss, map_loss
from tasks.core.shape import example, spec_of

PairLoss = Callable[[Tensor | None], Tensor]
"""(mask of tokens (N, L), or None) -> scalar, of what the two layers gave last."""


def run_empty(student: nn.Module, teacher: nn.Module, data: Data) -> None:
    """Run two empty rows through both networks, so that the watched layers show their shapes."""
    inputs = example(spec_of(data), 2)
    with torch.no_grad():
        student(*inputs)
        teacher(*(x.to(next(teacher.parameters()).device) for x in inputs))


def projection_for(student: Tensor, teacher: Tensor) -> nn.Module:
    """A learned 1x1 map from S to T features; TechniqueError when the layers differ in more than features."""
    axis = 1 if student.dim() == 4 else -1
    require_places(student, teacher)
    inputs, outputs = student.shape[axis], teacher.shape[axis]
    return nn.Conv2d(inputs, outputs, 1) if student.dim() == 4 else nn.Linear(inputs, outputs)


def require_places(student: Tensor, teacher: Tensor) -> None:
    """TechniqueError unless the two differ in features only: the channels of a picture, else the last axis."""
    axis = 1 if student.dim() == 4 else -1
    places = [[n for k, n in enumerate(t.shape) if k != axis % t.dim()] for t in (student, teacher)]
    if student.dim() != teacher.dim() or places[0] != places[1]:
        raise misfit(student, teacher, "they may differ in features only, so choose layers of the same resolution")


def misfit(student: Tensor, teacher: Tensor, why: str) -> TechniqueError:
    """That two layers cannot be matched."""
    found = f"{tuple(student.shape)} (student) and {tuple(teacher.shape)} (teacher)"
    return TechniqueError(f"distill: hidden layers of shape {found} cannot be matched; {why}")


def pair_loss(match: str, own: list[Any], theirs: list[Any], helpers: nn.ModuleList) -> PairLoss:
    """The loss of two watched layers that have run once; what must be learned for it is put into `helpers`.

    Raises TechniqueError when their shapes do not allow it.
    """
    if match in ("attention", "relations"):
        return _attention(own, theirs, values=match == "relations")
    require_places(own[0], theirs[0])
    tokens = own[0].dim() == 3
    if match == "features":
        projection = projection_for(own[0], theirs[0])
        helpers.append(projection)
        return lambda mask: hidden_loss(own[0], theirs[0], projection, mask if tokens else None)
    if match == "cosine":
        if own[0].shape != theirs[0].shape:
            raise misfit(own[0], theirs[0], "match: cosine needs equal features; match: features projects them")
        return lambda mask: cosine_loss(own[0], theirs[0], mask if tokens else None)
    if own[0].dim() != 4:
        raise misfit(own[0], theirs[0], "match: map is for convolutions (N, C, H, W)")
    return lambda _: map_loss(own[0], theirs[0])


def _attention(own: list[Any], theirs: list[Any], *, values: bool) -> PairLoss:
    """As `pair_loss`, of two attention layers."""
    width = theirs[0].query.shape[-1]
    if own[0].query.dim() != 3 or theirs[0].query.dim() != 3 or width % own[0].heads:
        why = f"the student's {own[0].heads} heads must divide the teacher's {width} features (N, tokens, features)"
        raise misfit(own[0].query, theirs[0].query, why)
    return lambda mask: attention_loss(own[0], theirs[0], mask, values=values)
