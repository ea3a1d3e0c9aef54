"""A sub-network of a `slim` row: the most accurate one found within a budget of latency, size or work.

Cai et al., *Once-for-All*, 2019 (arXiv:1908.09791), for the search without training; Cai et al., *ProxylessNAS*, 2018
(arXiv:1812.00332), for latency measured on the machine that will serve, and for `exponent`; Yu & Huang, *Universally
Slimmable Networks*, 2019 (arXiv:1903.05134), for measuring the norms' statistics anew before a network is judged.

Use when a `slim` row is there and a device has a budget: one row a budget, minutes each, without training.
Changes the number of channels and blocks and the size of kernels; `recover` trains the sub-network alone, to imitate
the parent, which is only read. With `macs_ratio` and `size_kb` the row is repeatable; with `latency_ratio` it is not:
another machine, or a busier hour, may choose another network. Accuracy is judged on `val`, where the winner of many
trials looks a little better than it is.
Costs up to `trials` sub-networks cut, their norms measured and scored on `val`, and training only where `recover` asks.
A quarter of the work was 0.31 to 0.35 of the latency in the zoo (benchmarks/RESULTS.md), for 1.10 points on
Fashion-MNIST and 6.43 on CIFAR-10. Half of the measured time of a ResNet of depth 20, with an epoch of `recover`: 0.60.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

from pydantic import Field, JsonValue, model_validator

from tasks.core.contract import Params as Base
from tasks.core.errors import TechniqueError
from tasks.core.recipe import RecoverParams

if TYPE_CHECKING:
    from tasks.core.contract import Data, Facts, Network, Outcome
    from tasks.core.evolution import Tried
    from tasks.core.supernet import Config, Space

TAKES = "torch"
GIVES = "torch"
BUDGETS = ("latency_ratio", "macs_ratio", "size_kb")
CONFIRMED = 8  # of the best by latency are measured again, for longer


class Params(Base):
    """The budget, one of three, and how hard to look."""

    latency_ratio: float | None = Field(
        None, gt=0, lt=1, description="share of the whole network's latency: ONNX Runtime, one thread, measured here"
    )
    macs_ratio: float | None = Field(None, gt=0, lt=1, description="share of the whole network's multiply-accumulates")
    size_kb: float | None = Field(None, gt=0, description="size of model.onnx in kilobytes of 1000 bytes")
    batch: int = Field(1, ge=1, le=65536, description="rows a call where latency is measured")
    trials: int = Field(96, ge=1, le=100_000, description="sub-networks to look at; repeated ones cost nothing")
    exponent: float = Field(
        0.0, ge=-10, le=0, description="of (cost / budget) in what is maximised; 0: accuracy alone; -0.07: MnasNet's"
    )
    recover: RecoverParams | None = Field(None, description="training that imitates the parent; null: none")

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        given = [name for name in BUDGETS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"found the budgets {given}; give one of {', '.join(BUDGETS)}")
        return self

    @property
    def budget(self) -> tuple[str, float]:
        """The name and the value of the budget that is given."""
        return next((name, float(getattr(self, name))) for name in BUDGETS if getattr(self, name) is not None)


def apply(parent: Network, data: Data, params: Params) -> Outcome:
    """The best sub-network found. Raises TechniqueError when none is within the budget, or the whole network is."""
    from torch import initial_seed

    from tasks.core.budget import cost_functions
    from tasks.core.contract import Outcome
    from tasks.core.elasticity import elasticity_of
    from tasks.core.evolution import Settings, evolve, imported
    from tasks.core.imitate import recover
    from tasks.core.shape import count_macs, count_parameters, example, spec_of
    from tasks.core.trial import cut_and_tried

    imported()
    space = elasticity_of(parent).space(parent, data)
    name, budget = params.budget
    cost, confirm = cost_functions(name, parent, data, space, params.batch)
    check_budget(name, budget, cost(space.greatest()), cost(space.smallest()))

    def accuracy(config: Config) -> float:
        return cut_and_tried(parent, data, space, config)[1]

    settings = Settings(budget, params.exponent, params.trials, initial_seed())
    tried = evolve(space, cost, accuracy, settings)
    best = chosen(tried, params, confirm)
    network, after = cut_and_tried(parent, data, space, best.config)
    facts: Facts = {"val_accuracy_cut": round(after, 6), **found_facts(space, params, best, tried)}
    inputs = example(spec_of(data), 1)
    for when, module in (("before", parent.module), ("after", network.module)):
        facts |= {f"parameters_{when}": count_parameters(module), f"macs_{when}": count_macs(module, inputs)}
    if params.recover is not None:
        facts |= recover(network, parent, data, params.recover)
    return Outcome(network, facts)


def check_budget(name: str, budget: float, whole: float, smallest: float) -> None:
    """TechniqueError when the budget leaves nothing to look for."""
    if whole <= budget:
        raise TechniqueError(f"subnet: {name} {budget:g}: the whole network is within it ({whole:.4g}); ask for less")
    if smallest > budget:
        raise TechniqueError(
            f"subnet: {name} {budget:g}: the smallest sub-network has {smallest:.4g}; "
            "ask for more, or give the slim row smaller widths or depths"
        )


def chosen(tried: Sequence[Tried], params: Params, confirm: Callable[[Config], float]) -> Tried:
    """The best within the budget; for latency the best of which a longer measurement says so too."""
    from tasks.core.evolution import ranked

    name, budget = params.budget
    best = ranked(tried, budget, params.exponent)
    for one in best[:CONFIRMED]:
        cost = confirm(one.config)
        if cost <= budget:
            return one._replace(cost=cost)
    raise TechniqueError(
        f"subnet: {name} {budget:g}: of {len(tried)} sub-networks {len(best)} seemed to be within it, and of the best "
        f"{CONFIRMED} none was when measured again; raise trials or the budget, or free the machine"
    )


def found_facts(space: Space, params: Params, best: Tried, tried: Sequence[Tried]) -> Facts:
    """What was looked at and what was chosen, for the card."""
    from tasks.core.evolution import front

    config = best.config
    cheapest: list[JsonValue] = [[round(t.cost, 6), round(t.accuracy or 0.0, 6)] for t in front(tried)]
    facts: Facts = {
        "cost": round(best.cost, 6),
        "sub_networks_tried": len(tried),
        "sub_networks_within_budget": sum(t.accuracy is not None for t in tried),
        "front_of_cost_and_val_accuracy": cheapest,
        "widths": {g.name: w for g, w in zip(space.groups, config.widths, strict=True)},
        "blocks_skipped": list(space.skipped(config)),
        "kernels": dict(zip(space.kernels, config.kernels, strict=True)),
        "layers_left_alone": dict(space.left),
    }
    if params.latency_ratio is not None:
        facts["cost_is"] = "the upper end of the 95 % interval of the latency ratio"
        facts["repeatable"] = "no: latency was measured here; another machine or hour may choose another network"
    return facts
