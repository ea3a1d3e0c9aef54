"""One network trained to be many: it still answers when its channels, blocks or kernels are cut.

Yu et al., *Slimmable Neural Networks*, 2018 (arXiv:1812.08928): several widths in one network. Yu & Huang,
*Universally Slimmable Networks*, 2019 (arXiv:1903.05134): any width of any layer, by the sandwich rule and in-place
distillation, one set of norms whose statistics are measured anew when it is cut (not a set a width, as in the first).
Cai et al., *Once-for-All*, 2019 (arXiv:1908.09791): depths and kernels, by progressive shrinking, after the channels
were sorted by what they are worth. A small kernel is the middle of the large one, without the paper's learned map.

Use when one model must meet several budgets, or a budget that may change: train once here, then one `subnet` row each.
Changes the weights, the order of channels and, where `kernels` asks for it, the size of kernels (larger, zeros around).
The row itself is the whole network, which imitates the parent; the parent is only read. Whatever trains the row again,
other than `subnet`, makes it one network again.
Costs steps that take, with 2 samples, two to three times as long as the whole network's alone, since a pass costs what
its sub-network costs. The row itself is as large and as slow as its parent (1.00 in the zoo (benchmarks/RESULTS.md),
for -0.03 and 0.93 points).
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, JsonValue, model_validator

from tasks.core.recipe import RecoverParams

if TYPE_CHECKING:
    from tasks.core.contract import Data, Network, Outcome
    from tasks.core.elasticity import Elasticity
    from tasks.core.supernet import Space

TAKES = "torch"
GIVES = "torch"


class Params(RecoverParams):
    """What the network shall be able to shrink to, and how to train it."""

    widths: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        (0.25, 0.5, 0.75, 1.0), min_length=1, description="shares of a layer's channels, 1 among them; [1] for none"
    )
    depths: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        (1.0,), min_length=1, description="shares of the blocks of a stage that can be skipped, 1 among them"
    )
    kernels: tuple[Annotated[int, Field(ge=1, le=15)], ...] = Field(
        (), description="odd sizes that kernels of 3 and more can take beside their own; a larger one enlarges them"
    )
    samples: int = Field(2, ge=0, le=16, description="sub-networks a step, beside the whole one and the smallest")
    shrink: float = Field(0.5, ge=0, le=1, description="share of training over which the choices open one by one")
    temperature: float = Field(1.0, gt=0, le=100, description="softens both sides; 1 = plain softmax, as in the papers")
    alpha: float = Field(0.5, ge=0, le=1, description="of the whole network: weight of imitating the parent")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name, values in (("widths", self.widths), ("depths", self.depths)):
            if 1.0 not in values:
                raise ValueError(f"{name}: {list(values)} must hold 1, the whole network")
        if any(size % 2 == 0 for size in self.kernels):
            raise ValueError(f"kernels: {list(self.kernels)} must be odd, so that they have a middle")
        if len(set(self.widths)) == len(set(self.depths)) == 1 and not self.kernels:
            raise ValueError("widths, depths and kernels leave one network; give one of them a second choice")
        if self.patience is not None:
            raise ValueError("patience would look at the whole network alone; leave it out")
        return self


def apply(parent: Network, data: Data, params: Params) -> Outcome:
    """A copy of `parent` that can be cut. Raises TechniqueError when it has nothing for a choice to choose from."""
    from tasks.core.contract import Outcome
    from tasks.core.fit import fit
    from tasks.core.groups import sort_channels
    from tasks.core.imitate import frozen
    from tasks.core.sandwich import sandwich_loss
    from tasks.core.supernet import described

    network, elasticity = prepared(parent, params)
    space = elasticity.space(network, data)
    sort_channels(network.module, space.groups)
    steps = params.epochs * max(1, len(data.train) // params.batch)
    loss = sandwich_loss(frozen(parent), space, params, samples=params.samples, shrink=params.shrink, steps=steps)
    facts = fit(network.module, data, loss, params)
    network = network.with_change(elasticity.record())
    return Outcome(network, {**facts, "sub_networks": measured(network, data, space), **described(space)})


def prepared(parent: Network, params: Params) -> tuple[Network, Elasticity]:
    """A copy of `parent`, its kernels enlarged where `kernels` asks for it, and what it shall be able to shrink to."""
    from dataclasses import replace

    from tasks.core.elastic import elastic_kernels, kernel
    from tasks.core.elasticity import Elasticity

    network = replace(parent, module=copy.deepcopy(parent.module).eval())
    kernels = elastic_kernels(network.module, params.kernels)
    larger: dict[str, JsonValue] = {
        name: sizes[0]
        for name, sizes in kernels.items()
        if network.module.get_submodule(name).kernel_size != (sizes[0], sizes[0])
    }
    if larger:
        network = network.with_change({"change": "kernel", "modules": larger})
        kernel(network.module, network.changes[-1])
    return network, Elasticity(widths=params.widths, depths=params.depths, kernels=kernels)


def measured(network: Network, data: Data, space: Space) -> dict[str, JsonValue]:
    """{sub-network: its accuracy on `val`, parameters, MACs}: every width alone, and the smallest of everything."""
    from tasks.core.shape import count_macs, count_parameters, example, spec_of
    from tasks.core.trial import cut_and_tried

    configs = {f"width {width:g}": space.uniform(width) for width in space.choices.widths if space.groups}
    found: dict[str, JsonValue] = {}
    for name, config in {**configs, "smallest": space.smallest()}.items():
        part, accuracy = cut_and_tried(network, data, space, config)
        found[name] = {
            "val_accuracy": round(accuracy, 6),
            "parameters": count_parameters(part.module),
            "macs": count_macs(part.module, example(spec_of(data), 2)),
        }
    return found
