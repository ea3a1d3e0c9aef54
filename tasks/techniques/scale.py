"""Compound scaling: the same architecture, narrower and shallower or wider and deeper together, to meet a budget.

Tan & Le, *EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks*, 2019 (arXiv:1905.11946), section
3.3: width grows as width_base**phi and depth as depth_base**phi. The paper scales the picture's height and width too,
and wants depth x width^2 x resolution^2 to double with each step of phi. Here the data fix the resolution, so its
factor is 1 and the other two take its share: the paper's 1.2 and 1.1, each to the power 1.86, still double the work.
An architecture that can only be made wider is scaled in width alone.

Use when the budget is known and the architecture is right, but its size is not; below a trained parent, `alpha` above
0 makes the new network imitate it. Changes the architecture's own parameters, and trains from fresh weights; phi is
found by bisection, before any training. The parent is only read.
Costs a whole training of the new network, each step with a pass of the parent only where `alpha` is above 0. A quarter
of the work was 0.30 to 0.34 of the latency and a fifth of the bytes in the zoo (benchmarks/RESULTS.md), for 0.78 points
on Fashion-MNIST (5 epochs) and 4.65 on CIFAR-10 (10).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from tasks.core.errors import TechniqueError
from tasks.core.recipe import RecoverParams
from tasks.core.scaling import Factors, Scales, largest, scaled

if TYPE_CHECKING:
    from tasks.core.contract import Data, Facts, Network, Outcome

TAKES = "torch"
GIVES = "torch"


class Params(RecoverParams):
    """What the network may cost, how it grows and shrinks, and how it is trained."""

    budget: Literal["macs", "parameters", "size_kb"] = Field(
        "macs", description="what is limited: multiply-accumulates a row, parameters, or 1000 bytes of them in float32"
    )
    at_most: float | None = Field(None, gt=0, description="the limit; null: `ratio` says it")
    ratio: float | None = Field(None, gt=0, description="the limit as a multiple of the parent's; null: see `at_most`")
    width_base: float = Field(1.19, ge=1, le=4, description="how much wider a step of phi makes it")
    depth_base: float = Field(1.40, ge=1, le=4, description="how much deeper a step of phi makes it")
    alpha: float = Field(0.0, ge=0, le=1, description="weight of imitating the parent; 0 for `from: data`")

    @model_validator(mode="after")
    def _one_limit(self) -> Params:
        if (self.at_most is None) == (self.ratio is None):
            raise ValueError("exactly one of at_most and ratio")
        if self.width_base == self.depth_base == 1:
            raise ValueError("width_base or depth_base above 1, since at 1 nothing grows")
        return self


def apply(parent: Network, data: Data, params: Params) -> Outcome:
    """A trained network of the largest size within the budget. Raises TechniqueError when there is none."""
    from tasks.core.contract import Outcome
    from tasks.core.fit import cross_entropy_loss, fit
    from tasks.core.imitate import frozen, mixed_loss
    from tasks.core.shape import build_like

    if parent.changes:
        kinds = sorted({str(change["change"]) for change in parent.changes})
        raise TechniqueError(
            f"scale: the parent was changed ({', '.join(kinds)}) and is no plain {parent.arch['arch']}"
        )
    block, facts = fitting(parent, data, params)
    loss = cross_entropy_loss(params)
    if params.alpha > 0:
        loss = mixed_loss(frozen(parent), params)
    network = build_like(block, data)
    return Outcome(network, {**facts, **fit(network.module, data, loss, params)})


def fitting(parent: Network, data: Data, params: Params) -> tuple[dict[str, Any], Facts]:
    """The block of the largest network within the budget, and how it compares with the parent's."""
    arch = str(parent.arch["arch"])
    model = import_module(f"tasks.models.{arch}")
    scales: Scales = getattr(model, "SCALES", {})
    if not scales:
        raise TechniqueError(f"scale: tasks/models/{arch}.py has no SCALES, so what makes {arch} wider is not known")

    def block_at(phi: float) -> dict[str, Any]:
        factors = Factors(width=params.width_base**phi, depth=params.depth_base**phi)
        return scaled(parent.arch, model.build, scales, factors)

    def cost_at(phi: float) -> float:
        return costs(block_at(phi), data)[params.budget]

    before = costs(parent.arch, data)
    limit = params.at_most if params.at_most is not None else before[params.budget] * (params.ratio or 1.0)
    phi = largest(cost_at, limit)
    if phi is None:
        raise TechniqueError(f"scale: no {arch} fits {params.budget} {limit:g}; the smallest has {cost_at(-16.0):g}")
    block = block_at(phi)
    after = costs(block, data)
    if before == after:
        raise TechniqueError(
            f"scale: {params.budget} {limit:g} leaves {dict(parent.arch)} as it is ({before[params.budget]:g}); "
            "the next larger one is above the limit"
        )
    facts: Facts = {f"{key}_before": value for key, value in before.items()}
    facts |= {f"{key}_after": value for key, value in after.items()}
    facts |= {"phi": round(phi, 4), "axes": [*scales], "limit": round(limit, 3)}
    return block, facts | {"model": {k: list(v) if isinstance(v, tuple) else v for k, v in block.items()}}


def costs(block: Mapping[str, Any], data: Data) -> dict[str, float]:
    """Multiply-accumulates of one row, parameters, and their size: counted without making a single weight."""
    import torch

    from tasks.core.shape import build_like, count_macs, count_parameters, example, spec_of

    with torch.device("meta"):
        module = build_like(block, data).module
        macs, parameters = count_macs(module, example(spec_of(data), 2)), count_parameters(module)
    return {"macs": macs, "parameters": parameters, "size_kb": parameters * 4 / 1000}
