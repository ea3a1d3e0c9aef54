"""Distillation: train a small student to imitate the parent's soft predictions and, if asked, a hidden layer.

Hinton, Vinyals & Dean, *Distilling the Knowledge in a Neural Network*, 2015 (arXiv:1503.02531).
Hidden layers: Romero et al., *FitNets*, 2014 (arXiv:1412.6550).

Use when the parent is accurate but too large, and `epochs` of training can be afforded.
Changes the architecture (to `student`); the parent is only read.
Shapes: N = batch, C = classes, S and T = features of the student's and the teacher's hidden layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import Field

from tasks.core.contract import Frozen, ModelChoice
from tasks.core.errors import TechniqueError, nearest
from tasks.core.recipe import RecoverParams

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tasks.core.contract import Data, Network, Outcome
    from tasks.core.fit import Batch, Loss

TAKES = "torch"
GIVES = "torch"


class Hidden(Frozen):
    """Two layers whose outputs are to match, through a learned projection that is thrown away afterwards."""

    student: str = Field(description="a layer's name in the student, as PyTorch names it")
    teacher: str = Field(description="a layer's name in the parent")
    weight: float = Field(1.0, gt=0, description="of this loss beside the others")


class Params(RecoverParams):
    """Whom to train, and how closely to imitate."""

    student: ModelChoice = Field(description="a `model:` block; the architecture to train")
    hidden: Hidden | None = Field(None, description="hidden layers to match as well; null: none")


def hidden_loss(student: Tensor, teacher: Tensor, projection: nn.Module) -> Tensor:
    """Half the mean squared difference between the projected student features and the teacher's (FitNets, eq. 3).

    Zero when the projection makes them equal. Shapes: (N, S, H, W) and (N, T, H, W), or (..., S) and (..., T).
    """
    difference: Tensor = projection(student.float()) - teacher.float()
    return 0.5 * difference.square().mean()


def projection_for(student: Tensor, teacher: Tensor) -> nn.Module:
    """A learned 1x1 map from S to T features; TechniqueError when the layers differ in more than features."""
    from torch import nn

    axis = 1 if student.dim() == 4 else -1
    places = [[n for k, n in enumerate(t.shape) if k != axis % t.dim()] for t in (student, teacher)]
    if student.dim() != teacher.dim() or places[0] != places[1]:
        raise TechniqueError(
            f"distill: hidden layers of shape {tuple(student.shape)} (student) and {tuple(teacher.shape)} (teacher) "
            "cannot be matched; they may differ in features only, so choose layers of the same resolution"
        )
    inputs, outputs = student.shape[axis], teacher.shape[axis]
    return nn.Conv2d(inputs, outputs, 1) if student.dim() == 4 else nn.Linear(inputs, outputs)


@contextmanager
def watching(module: nn.Module, layer: str, role: str) -> Iterator[list[Tensor]]:
    """A list that holds, after each forward pass of `module`, the newest output of `layer`."""
    from tasks.core.shape import body_of

    layers = {name: m for name, m in body_of(module).named_modules() if name}
    if layer not in layers:
        raise TechniqueError(
            f"distill: no layer {layer!r} in the {role}; it has {sorted(layers)}{nearest(layer, layers)}"
        )
    seen: list[Tensor] = []

    def keep(_: nn.Module, __: tuple[Tensor, ...], out: Tensor) -> None:
        seen[:] = [out]

    hook = layers[layer].register_forward_hook(keep)
    try:
        yield seen
    finally:
        hook.remove()


def apply(parent: Network, data: Data, params: Params) -> Outcome:
    """A trained student; `parent` is left as it was."""
    from tasks.core.contract import Outcome
    from tasks.core.fit import fit
    from tasks.core.imitate import frozen, mixed_loss
    from tasks.core.shape import build_like, count_parameters

    student, teacher = build_like(params.student, data), frozen(parent)
    if params.hidden is None:
        facts = fit(student.module, data, mixed_loss(teacher, params), params)
    else:
        with (
            watching(student.module, params.hidden.student, "student") as own,
            watching(teacher, params.hidden.teacher, "teacher") as theirs,
        ):
            _run_empty(student.module, teacher, data)
            projection = projection_for(own[0], theirs[0])
            loss = matching_loss(mixed_loss(teacher, params), own, theirs, projection, params.hidden.weight)
            facts = fit(student.module, data, loss, params, helper=projection)
    before, after = count_parameters(parent.module), count_parameters(student.module)
    return Outcome(student, {**facts, "parameters_before": before, "parameters_after": after})


def _run_empty(student: nn.Module, teacher: nn.Module, data: Data) -> None:
    """Run two empty rows through both networks, so that the watched layers show their shapes."""
    import torch

    from tasks.core.shape import example, spec_of

    inputs = example(spec_of(data), 2)
    with torch.no_grad():
        student(*inputs)
        teacher(*(x.to(next(teacher.parameters()).device) for x in inputs))


def matching_loss(mixed: Loss, own: list[Tensor], theirs: list[Tensor], projection: nn.Module, weight: float) -> Loss:
    """`mixed`, plus `weight` times the loss of the two watched layers, which `mixed` has just run."""

    def loss(model: nn.Module, inputs: Batch, labels: Tensor) -> Tensor:
        value = mixed(model, inputs, labels)
        return value + weight * hidden_loss(own[0], theirs[0], projection)

    return loss
