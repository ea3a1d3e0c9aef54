"""Early exit: classifiers on the way answer the easy rows, and only the others go through the rest of the network.

Teerapittayanon et al., *BranchyNet: Fast Inference via Early Exiting from Deep Neural Networks*, 2017
(arXiv:1709.01686): exits trained together with the network on a weighted sum of their losses. How sure an exit must be
is found on `val`: the least mean work whose accuracy stays within `accuracy_budget` of the end's.

Use when many rows are easy, the mean cost counts, and the backbone is deep and wide: to gather rows, to decide and to
put answers back costs tens of microseconds an exit, which a small network does not win back (a resnet of depth 14 and
width 16 gets slower by 15 to 26 % at batch 1). Exits are chosen by MACs; whether time is saved is for `bench` to tell.
The slowest rows get a little slower, so the 95th percentile falls only when fewer than one row in twenty goes to the
end; with large batches, each call waits for its hardest row.
Changes a chain of layers (an nn.Sequential with one input) into one ONNX graph in which the rows that stay are gathered
and go on inside an `If`: what is skipped is not computed, at any batch size, and a row's answer does not depend on the
rows beside it. The parent is only read. Facts count multiply-accumulates (MACs) on `val`; `bench` measures
the time, on real rows.
Costs `epochs` of training of network and exits, each step with a pass of the parent. With an exit of `head: conv` after
each stage, the file in the zoo (benchmarks/RESULTS.md) is 1.5 times the parent's; latency was 0.44 to 0.47 of the
parent's on Fashion-MNIST and 0.85 to 0.93 on CIFAR-10, for 0.98 and 1.15 points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tasks.core.contract import Graph
from tasks.core.errors import TechniqueError
from tasks.core.recipe import RecoverParams

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from tasks.core.contract import Data, Network, Outcome
    from tasks.core.exit_places import Place
    from tasks.core.fit import Batch, Loss
    from tasks.core.thresholds import Calibrated

    Array = np.ndarray[Any, Any]

TAKES = "torch"
GIVES = "onnx"
LAST = "give it `segments: int8`, which quantizes its parts as they are made"


class Params(RecoverParams):
    """Where the exits stand, how they are trained, and when a row may leave."""

    exits: tuple[str, ...] = Field((), description="layers after which exits stand; empty: where a stage ends")
    head: Literal["linear", "conv"] = Field(
        "linear", description="of an exit on pictures: the mean and a linear layer, or a 3x3 convolution before them"
    )
    exit_weight: float = Field(0.5, gt=0, le=10, description="of each early exit's loss beside the end's, which is 1")
    freeze_backbone: bool = Field(False, description="train the exits alone; the end then answers as the parent does")
    confidence: Literal["max_probability", "entropy"] = Field(
        "max_probability", description="how sure an exit is: its top probability, or 1 - entropy / log(classes)"
    )
    accuracy_budget: float = Field(
        0.01, ge=0, lt=1, description="how far below the end's accuracy on val, as a share of rows: 0.01"
    )
    segments: Literal["float", "int8"] = Field("float", description="int8: static INT8 of each part, before stitching")


def exits_loss(teacher: nn.Module, params: Params) -> Loss:
    """The end's loss plus `exit_weight` times that of each early exit; each blends imitation and labels."""
    import torch

    from tasks.core.imitate import blend

    def loss(model: nn.Module, inputs: Batch, labels: Tensor) -> Tensor:
        with torch.no_grad():
            parent_NC = teacher(*inputs.values())
        *early, end = [blend(a, parent_NC, labels, params) for a in model.answers(*inputs.values())]  # type: ignore[operator]
        total: Tensor = params.exit_weight * torch.stack(early).sum()
        return total if params.freeze_backbone else total + end

    return loss


def apply(parent: Network, data: Data, params: Params) -> Outcome:
    """The network with exits as one graph. Raises TechniqueError when no exit saves work within the budget."""
    from tasks.core import exit_graph, exit_places, exit_routes, exits
    from tasks.core.contract import Outcome
    from tasks.core.fit import fit
    from tasks.core.graph import plain
    from tasks.core.imitate import frozen
    from tasks.core.shape import example, spec_of

    inputs = example(spec_of(data), 2)
    body, front = exit_places.sequential(parent, inputs, "early_exit"), exits.front_of(parent)
    found = exit_places.places(front, body, inputs[0])
    names = exit_places.choose_places(found, params.exits)
    shapes = {p.name: p.shape for p in found}
    heads = {name: exits.head_for(shapes[name], len(data.classes), params.head) for name in names}
    net = exits.with_exits(front, body, heads, params.freeze_backbone)
    facts = fit(net, data, exits_loss(frozen(parent), params), params)
    segments = exits.exported(net, data)
    if params.segments == "int8":
        segments = exit_graph.quantized(segments, data.split("calibration"))
    logits_KNC = exit_graph.answers(segments, data.split("val"))
    macs = work(found, heads)
    best = calibrated(logits_KNC, macs, data, params)
    proto = plain(exit_graph.stitched(segments, best.thresholds, params.confidence, len(data.classes)))
    exit_routes.check(proto, segments, best.thresholds, params.confidence, data)
    facts |= exit_routes.described([*heads], best, logits_KNC, macs, data)
    return Outcome(Graph(proto), {**facts, "macs_before": found[-1].macs, "macs_expected": round(best.cost)})


def work(found: list[Place], heads: dict[str, nn.Module]) -> tuple[Array, Array]:
    """MACs of the layers up to each exit and to the end (K,), and of each exit's own head (E,)."""
    import numpy as np
    import torch

    from tasks.core.shape import count_macs

    exits = [p for p in found if p.name in heads]
    own = [count_macs(heads[p.name], (torch.zeros(1, *p.shape),)) for p in exits]
    return np.array([p.macs for p in (*exits, found[-1])]), np.array(own)


def calibrated(logits_KNC: Array, macs: tuple[Array, Array], data: Data, params: Params) -> Calibrated:
    """The thresholds; TechniqueError when no row may leave early within the budget."""
    import numpy as np

    from tasks.core.thresholds import NEVER, calibrate, confidence

    right_KN = logits_KNC.argmax(axis=2) == data.split("val").labels
    sure_EN = np.stack([confidence(logits, params.confidence) for logits in logits_KNC[:-1]])
    best = calibrate(sure_EN, right_KN, *macs, params.accuracy_budget)
    if all(t == NEVER for t in best.thresholds):
        raise TechniqueError(
            f"early_exit: leaving early saves nothing at accuracy_budget {params.accuracy_budget}: the exits alone "
            f"have accuracies {[round(float(a), 4) for a in right_KN.mean(axis=1)]} on val, the end's last; "
            "train longer, place exits later, or allow a larger budget"
        )
    return best
