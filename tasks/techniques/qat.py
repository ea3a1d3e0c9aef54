"""Quantization-aware training: the network learns with its rounding, and the answer is an INT8 graph.

Jacob et al., *Quantization and Training of Neural Networks for Integer-Arithmetic-Only Inference*, 2017
(arXiv:1712.05877), for the simulated rounding; Krishnamoorthi, *Quantizing deep convolutional networks for efficient
inference: A whitepaper*, 2018 (arXiv:1806.08342), for the frozen end. It learns by imitating its parent in float.

Use when `quantize` with scheme: static loses accuracy, as on depthwise convolutions, few channels of very different
size, or `weights: per_tensor`; where it loses none, neither is there anything to win. Changes a trainable network
into the ONNX graph that `quantize` would make of it, as small and as fast: batch normalisation folded into the layers
and trained as part of them, weights signed, activations unsigned, the logits float. Convolutions and linear layers
over (N, features) become INT8, with sums, products and means of activations between them. It is the last step: what
comes out cannot be trained further. Needs the extra `qat`. Take a small lr, such as 0.002 with sgd: without batch
normalisation to hold it, a network diverges at the lr that it was trained with.
Costs `epochs` of training, each step with every rounding simulated and a pass of the parent: 2 or 3 epochs in the zoo
(benchmarks/RESULTS.md), where the graph took 0.39 to 0.43 of the latency and 3.8 times fewer bytes, as `quantize` gives
without training. How much slower such a step is than a plain one was not measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from tasks.core.errors import TechniqueError
from tasks.core.recipe import RecoverParams

if TYPE_CHECKING:
    import onnx

    from tasks.core.contract import Data, Facts, Network, Outcome
    from tasks.core.fake_quant import Trainable

TAKES = "torch"
GIVES = "onnx"
POINTS_LIMIT = 0.2
ROWS_LIMIT = 2


class Params(RecoverParams):
    """How to train, and what is rounded how."""

    freeze_share: float = Field(
        0.25, ge=0, le=1, description="share of the steps, the last ones, in which activations keep their ranges"
    )
    weights: Literal["per_channel", "per_tensor"] = Field(
        "per_channel", description="one scale an output channel, or one a weight, as some accelerators want"
    )
    reduce_range: bool = Field(False, description="7-bit weights, for processors without VNNI, whose sums overflow")
    exclude: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="layers to leave in float, by name or pattern: [body.0.*]"
    )


def apply(parent: Network, data: Data, params: Params) -> Outcome:
    """An INT8 graph trained to answer as `parent`. Raises TechniqueError when no layer of it can be quantized."""
    check_installed()
    from tasks.core import fake_quant
    from tasks.core.contract import Graph, Outcome
    from tasks.core.device import best_device, place
    from tasks.core.fit import accuracy, fit
    from tasks.core.imitate import frozen, mixed_loss
    from tasks.core.ort_quantizer import OrtQuantizer
    from tasks.core.traced import traced

    rules = OrtQuantizer(
        per_channel=params.weights == "per_channel", reduce_range=params.reduce_range, exclude=params.exclude
    )
    graph = fake_quant.prepared(traced(parent, data), rules, data.split("calibration"))
    steps = params.epochs * max(1, len(data.train) // params.batch)
    module = fake_quant.Trainable(graph, freeze_at(steps, params.freeze_share))
    place(module, best_device())
    before = accuracy(module, data.split("val"), best_device())
    trained = fit(module, data, mixed_loss(frozen(parent), params), params)
    trained["val_accuracy_before_training"] = round(before, 6)
    proto, raised = exported(module, parent, data, len(rules.quantized))
    facts: Facts = {
        "layers_quantized": [*rules.quantized],
        "layers_left_float": {**rules.left},
        "weight_scales_raised": raised,
    }
    return Outcome(Graph(proto), {**facts, **trained, **compared(proto, data, float(trained["val_accuracy"]))})  # type: ignore[arg-type]


def check_installed() -> None:
    """TechniqueError when torchao is not there."""
    from tasks.core.quiet import quiet

    try:
        with quiet():  # it complains of CUDA files
            import torchao.quantization.pt2e  # noqa: F401
    except ImportError:
        raise TechniqueError(
            "qat needs the package torchao, which is not installed; `pip install 'stillroom[qat]'`, "
            "or use `quantize`, which does not train"
        ) from None


def freeze_at(steps: int, share: float) -> int:
    """The step, counted from 0, from which ranges stand still."""
    return steps - round(share * steps)


def exported(module: Trainable, parent: Network, data: Data, layers: int) -> tuple[onnx.ModelProto, int]:
    """The trained module, which is used up, as an ONNX graph, and how many weight scales were raised."""
    from dataclasses import replace

    from tasks.core import int8, qdq
    from tasks.core.export import export
    from tasks.core.fake_quant import converted
    from tasks.core.graph import drop_unused

    proto = export(replace(parent, module=converted(module)), data)
    integer, kept = qdq.weighted(proto)
    assert len(integer) == layers, f"{layers} layers were trained as INT8, {len(integer)} were exported so"
    raised = qdq.integer_biases(proto)
    int8.stay_float(proto, kept)
    drop_unused(proto)
    return proto, raised


def compared(proto: onnx.ModelProto, data: Data, simulated: float) -> Facts:
    """What ONNX Runtime answers beside what was trained. Raises TechniqueError when they are not the same model."""
    from tasks.core.mixed import answers
    from tasks.core.qdq import computed_as

    val = data.split("val")
    found = float((answers(proto, val).argmax(axis=1) == val.labels).mean())
    points = 100 * abs(found - simulated)
    if points > max(POINTS_LIMIT, 100 * ROWS_LIMIT / len(val)):
        raise TechniqueError(
            f"qat: ONNX Runtime's accuracy on val is {found:.4f}, the trained network's {simulated:.4f}: "
            f"{points:.2f} points apart, at most {POINTS_LIMIT} are allowed; "
            "on a processor without VNNI, set reduce_range: true"
        )
    return {
        "fake_quant_val_accuracy": round(simulated, 6),
        "onnx_val_accuracy": round(found, 6),
        "difference_points": round(points, 4),
        "computed_as": {**computed_as(proto)},
    }
