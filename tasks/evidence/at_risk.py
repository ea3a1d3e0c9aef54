"""Which integer layers of a graph could saturate, told from their weights alone; which operators cannot be judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.core.graph import every_node
from tasks.evidence.integer_layers import FACTORS
from tasks.evidence.patches import NotJudgedError, attributes
from tasks.evidence.saturation import can_saturate

if TYPE_CHECKING:
    import onnx

Array = np.ndarray[Any, Any]

EXACT = (
    *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearAdd", "QLinearMul", "QLinearSigmoid"),
    *("QLinearLeakyRelu", "QLinearSoftmax", "QLinearConcat", "QLinearWhere", "QLinearReduceMean", "QLinearAveragePool"),
    *("QLinearGlobalAveragePool", "GatherBlockQuantized"),
)
"""Operators on integers that have no sum of products: the same on every processor."""


def refuse_unknown(model: onnx.ModelProto) -> None:
    """NotJudgedError for an operator with integer weights whose arithmetic is not known here."""
    weights = {name for name, value in constants(model).items() if value.dtype in (np.int8, np.uint8)}
    for node in every_node(model.graph):
        own, where = node.domain not in ("", "ai.onnx"), f"{node.op_type} {node.name!r}"
        if node.op_type == "MatMulNBits":
            if attributes(node).get("accuracy_level", 0) == 4:
                raise NotJudgedError(
                    f"{where}: each processor's kernel puts activations on 8 bits in a way of its own, which is not "
                    "emulated; `arithmetic: float32` avoids it"
                )
        elif node.op_type in ("Loop", "Scan") and any(n.op_type in FACTORS for n in inside(node)):
            raise NotJudgedError(f"{where}: integer layers within a loop are not emulated")
        elif own and node.op_type not in (*FACTORS, *EXACT) and weights & {*node.input}:
            raise NotJudgedError(f"{where}: an operator on integers that is not emulated")


def inside(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """The nodes of the graphs within a node."""
    return [inner for a in node.attribute if a.HasField("g") for inner in every_node(a.g)]


def constants(model: onnx.ModelProto) -> dict[str, Array]:
    """Every constant by name, those of branches included."""
    from onnx import numpy_helper

    graphs = [model.graph]
    for node in every_node(model.graph):
        graphs += [g for a in node.attribute for g in [*([a.g] if a.HasField("g") else []), *a.graphs]]
    return {t.name: numpy_helper.to_array(t) for graph in graphs for t in graph.initializer}


def risky(node: onnx.NodeProto, known: dict[str, Array]) -> bool:
    """Whether the sums of an integer layer could saturate, whatever its input is."""
    if node.op_type == "ConvInteger":
        return False
    _, weight, x_zero, w_zero = FACTORS[node.op_type]
    names = dict(enumerate(node.input))
    zeros = [known.get(names.get(slot, "")) if slot is not None else None for slot in (x_zero, w_zero)]
    left = np.dtype(np.uint8) if zeros[0] is None else zeros[0].dtype
    values = known.get(names[weight])
    if values is None:  # two activations: what stands on the right is known by its zero point alone
        return bool(left == np.uint8 and (zeros[1] is None or zeros[1].dtype == np.int8))
    if node.op_type == "QLinearConv":
        if len(values) == attributes(node).get("group", 1) and values.shape[1] == 1:
            return False
        values = np.moveaxis(values, 1, -1).reshape(len(values), -1).T
    elif attributes(node).get("transB"):
        values = values.T
    return any(can_saturate(left, matrix) for matrix in values.reshape(-1, *values.shape[-2:]))


def label(node: onnx.NodeProto) -> str:
    """How a person knows the layer: by its weight."""
    weight: str = node.input[FACTORS[node.op_type][1]]
    name = weight.removesuffix("_quantized").removesuffix(".weight")
    return name if weight.endswith(("weight", "weight_quantized")) else str(node.name)
