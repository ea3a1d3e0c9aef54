"""An ensemble: several networks, trained one by one from different beginnings, that answer as one.

Lakshminarayanan, Pritzel & Blundell, *Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles*, 2017
(arXiv:1612.01474): every member sees all rows, in an order of its own. Its adversarial training is left out.

Use when accuracy and calibrated confidence count more than size; above all as the parent of a `distill`, which puts
what several teachers know into one small student.
Changes the network into `members` networks behind one answer; by default its softmax is the mean of theirs. The parent
is only read, and becomes the first member where `keep_parent` says so.
Costs `members` trainings, one after another, and as many times the memory, bytes and latency (two in the zoo
(benchmarks/RESULTS.md): 2.0 and 2.0 to 2.1 times), for 0.36 points more on Fashion-MNIST and 1.46 on CIFAR-10.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from tasks.core.contract import ModelChoice
from tasks.core.recipe import FitParams

if TYPE_CHECKING:
    from pydantic import JsonValue

    from tasks.core.contract import Data, Facts, Network, Outcome

TAKES = "torch"
GIVES = "torch"
MOST = 64


class Params(FitParams):
    """How every member is trained, how many there are, and of which kind."""

    members: (
        Annotated[int, Field(ge=1, le=MOST)] | Annotated[tuple[ModelChoice, ...], Field(min_length=1, max_length=MOST)]
    ) = Field(
        3,
        description="how many to train, of the parent's own architecture; or a list of `model:` blocks",
    )
    keep_parent: bool = Field(False, description="the parent, trained as it is, becomes a further member, the first")
    combine: Literal["probabilities", "logits"] = Field("probabilities", description="what of the members is averaged")


def apply(parent: Network, data: Data, params: Params) -> Outcome:
    """The members, trained and joined. Raises TechniqueError when there would be fewer than two, or too many."""
    import torch

    from tasks.core.committee import Committee
    from tasks.core.contract import Outcome
    from tasks.core.fit import accuracy
    from tasks.core.shape import body_of, build_like, count_parameters

    blocks = blocks_of(params, parent)
    built: list[Network] = [copy.deepcopy(parent)] if params.keep_parent else []
    built += [trained(block, data, params, k, len(blocks)) for k, block in enumerate(blocks, 1)]
    arch = {"arch": "ensemble", "members": [dict(one.arch) for one in built], "combine": params.combine}
    network = build_like(arch, data)
    committee = body_of(network.module)
    assert isinstance(committee, Committee)
    for k, one in enumerate(built):
        committee.members[k] = body_of(one.module)
        for change in one.changes:
            network = network.with_change({"change": "member", "member": k, "of": dict(change)})
    val, processor = data.split("val"), torch.device("cpu")
    alone: list[JsonValue] = [round(accuracy(one.module, val, processor), 6) for one in built]
    together = round(accuracy(network.module, val, processor), 6)
    before, after = count_parameters(parent.module), count_parameters(network.module)
    facts: Facts = {"members": len(built), "member_val_accuracy": alone, "val_accuracy": together}
    network.module.requires_grad_(True)
    return Outcome(network, {**facts, "parameters_before": before, "parameters_after": after})


def blocks_of(params: Params, parent: Network) -> list[dict[str, JsonValue]]:
    """The `model:` blocks of the members to train."""
    from tasks.core.errors import TechniqueError

    wanted = [dict(parent.arch)] * params.members if isinstance(params.members, int) else [*params.members]
    total = len(wanted) + params.keep_parent
    if not 2 <= total <= MOST:
        raise TechniqueError(
            f"ensemble: found {total} members, the parent {'among' if params.keep_parent else 'not among'} them; "
            f"allowed: 2 to {MOST}"
        )
    return wanted


def trained(block: dict[str, JsonValue], data: Data, params: Params, number: int, count: int) -> Network:
    """Member `number` (1, 2, ...), trained from weights and an order of rows of its own."""
    import torch

    from tasks.core.fit import cross_entropy_loss, fit
    from tasks.core.seed import seed_for
    from tasks.core.shape import build_like

    print(f"member {number} of {count}", flush=True)
    row = torch.initial_seed()
    torch.manual_seed(seed_for(row, f"member {number}"))
    try:
        network = build_like(block, data)
        fit(network.module, data, cross_entropy_loss(params), params)
    finally:
        torch.manual_seed(row)
    return network
