"""Adaptive computation time: in each stage of residual units, a row computes only as many as it needs.

Graves, *Adaptive Computation Time for Recurrent Neural Networks*, 2016 (arXiv:1603.08983), over residual units as in
Figurnov et al., *Spatially Adaptive Computation Time for Residual Networks*, 2016 (arXiv:1612.02297), section 2.1:
a halting score after each unit (mean over the picture, a linear layer, a sigmoid), the stage's output the mean of its
units' outputs weighted by them, and `ponder_cost` x (units computed + remainder) in the loss. The position-wise
variant of that paper is left out: it skips single pixels, which ONNX cannot.

Use when a residual network has several wide units a stage, rows differ in how hard they are, and the mean cost counts.
Unlike `early_exit`, every row passes every stage and one classifier. To gather rows and to put them back costs tens
of microseconds a unit, which small networks do not win back: `bench` tells.
Changes a chain of layers (an nn.Sequential with one input) into one ONNX graph in which the rows that go on are
gathered and computed inside an `If`: units of rows that have halted are not computed, at any batch size, and a row's
answer does not depend on the rows beside it. The whole network is trained to imitate the parent, which is only read.
Costs `epochs` of training in which every row passes every unit and the parent too, both networks in memory, and a
linear layer a unit in the file. On Fashion-MNIST a ResNet of depth 20 computed 4.3 of its 9 units in 0.58 to 0.67 of
the time, for 0.58 points (benchmarks/RESULTS.md); with the default `ponder_cost` two epochs halted no row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, JsonValue

from tasks.core.contract import Graph
from tasks.core.errors import TechniqueError
from tasks.core.recipe import RecoverParams

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tasks.core.contract import Data, Network, Outcome
    from tasks.core.fit import Batch, Loss
    from tasks.core.halting import AdaptiveNet

TAKES = "torch"
GIVES = "onnx"
LAST = "it stays in float; quantize the row that it comes from, beside it"


class Params(RecoverParams):
    """What a computed unit costs in the loss, when a row halts, and how the network is trained."""

    ponder_cost: float = Field(
        0.005, ge=0, le=100, description="tau: what each unit that a row computes adds to the loss; more halts earlier"
    )
    epsilon: float = Field(
        0.01, gt=0, lt=1, description="a row halts when its scores sum to 1 - epsilon; below 1, so that one unit may do"
    )
    min_units: int = Field(2, ge=2, le=1000, description="stages of fewer units are left as they are")


def act_loss(teacher: nn.Module, params: Params) -> Loss:
    """Imitation and labels blended, plus `ponder_cost` times the mean ponder cost of the rows."""
    import torch

    from tasks.core.halting import ponder
    from tasks.core.imitate import blend

    def loss(model: nn.Module, inputs: Batch, labels: Tensor) -> Tensor:
        with torch.no_grad():
            parent_NC = teacher(*inputs.values())
        logits_NC, scores = model.scored(*inputs.values())  # type: ignore[operator]
        cost = ponder(scores, params.epsilon).mean()
        return blend(logits_NC, parent_NC, labels, params) + params.ponder_cost * cost

    return loss


def apply(parent: Network, data: Data, params: Params) -> Outcome:
    """The network with adaptive stages as one graph. Raises TechniqueError when no stage can be, or no row halts."""
    import torch

    from tasks.core import halting_graph
    from tasks.core.contract import Outcome
    from tasks.core.device import best_device
    from tasks.core.exit_places import sequential
    from tasks.core.exits import front_of
    from tasks.core.fit import accuracy, fit
    from tasks.core.halting_stages import adaptive
    from tasks.core.imitate import frozen
    from tasks.core.shape import count_macs, example, spec_of

    inputs = example(spec_of(data), 2)
    body, front = sequential(parent, inputs, "act"), front_of(parent)
    with torch.no_grad():
        x = front(inputs[0])
    net = adaptive(front, body, x, chosen_stages(parent, body, x, params), params.epsilon)
    teacher = frozen(parent)
    facts = fit(net, data, act_loss(teacher, params), params)
    facts |= measured(net, data, params)
    proto = halting_graph.stitched(net, data)
    halting_graph.check(proto, net, params.epsilon, data)
    facts["val_accuracy_of_the_parent"] = round(accuracy(teacher, data.split("val"), best_device()), 6)
    return Outcome(Graph(proto), {**facts, "macs_before": count_macs(parent.module, inputs)})


def chosen_stages(parent: Network, body: nn.Sequential, x: Tensor, params: Params) -> list[list[str]]:
    """The units of every stage that is long enough; TechniqueError when there is none. `x` is an input of `body`."""
    from tasks.core.halting_stages import stages

    found = stages(body, x)
    chosen = [units for units in found if len(units) >= params.min_units]
    if not chosen:
        longest = max(map(len, found), default=0)
        raise TechniqueError(
            f"act: the network ({parent.arch.get('arch')}) has no stage of {params.min_units} residual units (Sum or "
            f"Residual) of one shape, which min_units asks for; its longest has {longest}"
        )
    return chosen


def measured(net: AdaptiveNet, data: Data, params: Params) -> dict[str, JsonValue]:
    """Facts on val: units a row, by stage, and the work. Raises TechniqueError when no row halts early."""
    import torch

    from tasks.core.halting import ponder, shares
    from tasks.core.halting_work import histogram, mean_work, scores_of, work
    from tasks.core.shape import example, spec_of

    scores = scores_of(net, data.split("val"))
    units = [shares(scores_NL, params.epsilon).units_N for scores_NL in scores]
    total, most = torch.stack(units).sum(0), sum(len(stage.units) for stage in net.stages.values())
    if int(total.min()) == most:
        raise TechniqueError(
            f"act: at ponder_cost {params.ponder_cost:g} every row of val computes all {most} units, so nothing is "
            "saved; raise ponder_cost, or train longer"
        )
    fixed, costs = work(net, example(spec_of(data), 2)[0])
    return {
        "units": most,
        "mean_units": round(float(total.float().mean()), 6),
        "share_by_units": {
            name: histogram(units_N, len(own)) for name, units_N, own in zip(net.stages, units, costs, strict=True)
        },
        "ponder": round(float(ponder(scores, params.epsilon).mean()), 6),
        "macs_of_all_units": fixed + sum(map(sum, costs)),
        "macs_expected": round(mean_work(units, fixed, costs)),
    }
