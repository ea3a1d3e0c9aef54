"""Distillation: train a student to imitate the parent's soft predictions and, if asked, what goes on inside it.

Hinton, Vinyals & Dean, *Distilling the Knowledge in a Neural Network*, 2015 (arXiv:1503.02531). Hidden layers and
attention: tasks.core.matching has the papers. DistilBERT (Sanh et al. 2019, arXiv:1910.01108) is `init: skip`, `hidden`
with `match: cosine`, and `alpha` between the teacher and the labels.
Several teachers: a parent made by `ensemble`, whose members' softened predictions are averaged.

Use when the parent is accurate but too large, and `epochs` of training can be afforded.
Changes the architecture (to `student`); the parent is only read.
Costs a whole training of the student, each step with a pass of the parent (of every member of an `ensemble`), and both
in memory. What it answers with is the student alone: at half the width 0.28 to 0.31 of the latency and a quarter of the
bytes in the zoo (benchmarks/RESULTS.md), for 0.53 points on Fashion-MNIST (5 epochs) and 3.06 on CIFAR-10 (10).
Half of MiniLM's layers: 0.44 to 0.49 of the latency, no loss to be told, with DistilBERT's third loss or without.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Discriminator, Field, Tag

from tasks.core.contract import ModelChoice
from tasks.core.frozen import Frozen
from tasks.core.recipe import RecoverParams

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from torch import Tensor, nn

    from tasks.core.contract import Data, Facts, Network, Outcome
    from tasks.core.fit import Batch, Loss
    from tasks.core.pairing import PairLoss

TAKES = "torch"
GIVES = "torch"
MASK = "attention_mask"
"""The input that tells tokens (1) from padding (0), in data that has it."""


class Hidden(Frozen):
    """Two layers that are to be alike."""

    student: str = Field(description="a layer's name in the student, as PyTorch names it")
    teacher: str = Field(description="a layer's name in the parent")
    match: Literal["features", "cosine", "map", "attention", "relations"] = Field(
        "features",
        description="features: outputs, through a projection that is thrown away afterwards; cosine: their direction, "
        "of equal width; map: where convolutions look; attention: which tokens attend to which; relations: that and "
        "how the values relate; the last two name attention layers",
    )
    weight: float = Field(1.0, gt=0, description="of this loss beside the others")


def _form(value: object) -> str:
    return "several" if isinstance(value, list | tuple) else "one"


Pairs = Annotated[
    Annotated[Hidden, Tag("one")] | Annotated[tuple[Hidden, ...], Tag("several")],
    Discriminator(_form),
]


class Params(RecoverParams):
    """Whom to train, and how closely to imitate."""

    student: ModelChoice = Field(description="a `model:` block; the architecture to train")
    hidden: Pairs | None = Field(None, description="layers to match as well, one pair or a list of them; null: none")
    init: Literal["random", "skip"] = Field(
        "random", description="skip: some of the parent's layers, where the student has fewer of the same kind"
    )
    teachers: Literal["probabilities", "logits"] = Field(
        "probabilities", description="of an ensemble as parent, which mean of the members' softened predictions"
    )

    @property
    def pairs(self) -> tuple[Hidden, ...]:
        """`hidden` as a list."""
        return () if self.hidden is None else (self.hidden,) if isinstance(self.hidden, Hidden) else self.hidden


def apply(parent: Network, data: Data, params: Params) -> Outcome:
    """A trained student; `parent` is left as it was."""
    from torch import nn

    from tasks.core.committee import Committee
    from tasks.core.contract import Outcome
    from tasks.core.fit import fit
    from tasks.core.imitate import frozen, mixed_loss
    from tasks.core.inherit import skip_layers
    from tasks.core.pairing import pair_loss, run_empty
    from tasks.core.shape import body_of, build_like, count_parameters

    student, teacher = build_like(params.student, data), frozen(parent)
    facts: Facts = {}
    if params.init == "skip":
        facts["layers_taken"] = skip_layers(student.module, parent.module)
    if isinstance(committee := body_of(teacher), Committee):
        facts["teachers"] = len(committee.members)
    loss = mixed_loss(teacher, params, params.teachers)
    with ExitStack() as stack:
        seen = [[stack.enter_context(w) for w in watchers(p, student.module, teacher)] for p in params.pairs]
        if seen:
            run_empty(student.module, teacher, data)
        helpers = nn.ModuleList()
        for pair, (own, theirs) in zip(params.pairs, seen, strict=True):
            loss = also(loss, pair.weight, pair_loss(pair.match, own, theirs, helpers))
        facts |= fit(student.module, data, loss, params, helper=helpers if len(helpers) else None)
    before, after = count_parameters(parent.module), count_parameters(student.module)
    return Outcome(student, {**facts, "parameters_before": before, "parameters_after": after})


def watchers(pair: Hidden, student: nn.Module, teacher: nn.Module) -> tuple[AbstractContextManager[list[Any]], ...]:
    """What shows the pair's two layers at work."""
    from tasks.core.matching import watching, watching_attention

    watch: Callable[..., AbstractContextManager[list[Any]]]
    watch = watching_attention if pair.match in ("attention", "relations") else watching
    return watch(student, pair.student, "student"), watch(teacher, pair.teacher, "teacher")


def also(loss: Loss, weight: float, pair: PairLoss) -> Loss:
    """`loss`, plus `weight` times that of a pair of watched layers, which `loss` has just run."""

    def together(model: nn.Module, inputs: Batch, labels: Tensor) -> Tensor:
        value = loss(model, inputs, labels)
        return value + weight * pair(inputs.get(MASK))

    return together
