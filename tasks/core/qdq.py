"""What ONNX Runtime makes of a graph of QuantizeLinear and DequantizeLinear pairs that PyTorch exported."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

Array = np.ndarray[Any, Any]
Tensors = dict[str, onnx.TensorProto]

FLOAT = ("Conv", "ConvTranspose", "FusedConv", "FusedGemm", "Gemm", "MatMul")
INTEGER = ("QLinearConv", "QGemm", "QLinearMatMul", "QLinearAdd", "QLinearMul", "QLinearGlobalAveragePool")
LARGEST = 2**30


def weighted(proto: onnx.ModelProto) -> tuple[list[str], list[str]]:
    """Names of the nodes with constant weights: those whose weights are integer, and those in float."""
    constants = {t.name for t in proto.graph.initializer}
    integer = {n.output[0] for n in proto.graph.node if n.op_type == "DequantizeLinear" and n.input[0] in constants}
    nodes = [n for n in proto.graph.node if n.op_type in FLOAT]
    return (
        [n.name for n in nodes if n.input[1] in integer],
        [n.name for n in nodes if n.input[1] in constants],
    )


def computed_as(proto: onnx.ModelProto) -> dict[str, int]:
    """How many products and sums ONNX Runtime's CPU provider computes by which operator, after its own fusing."""
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
        ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        optimized = onnx.load(options.optimized_model_filepath)
    found = Counter(n.op_type for n in optimized.graph.node if n.op_type in (*FLOAT, *INTEGER))
    return dict(sorted(found.items()))


def integer_biases(proto: onnx.ModelProto) -> int:
    """Put the bias of every INT8 layer on 32-bit integers, in place; how many weight scales had to be raised for it.

    Its unit is the input's scale times the channel's, in which the kernels add it up; a matrix product with a float
    result is fused with such a bias alone. A channel of all but dead weights has so small a scale that its bias would
    overflow: the weights are rounded more coarsely then, by which nothing is lost beside that bias.
    """
    tensors = {t.name: t for t in proto.graph.initializer}
    maker = {n.output[0]: n for n in proto.graph.node if n.op_type == "DequantizeLinear"}
    integer = set(weighted(proto)[0])
    nodes, raised = [], 0
    for node in proto.graph.node:
        if node.name in integer and node.input[0] in maker and len(node.input) > 2 and node.input[2] in tensors:
            raised += _make_room(proto, tensors, maker[node.input[0]], maker[node.input[1]], node.input[2])
            nodes.append(_integer_bias(proto, tensors, maker, node))
        nodes.append(node)
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return raised


def least_scales(bias_C: Array, input_scale: float) -> Array:
    """The weight scales (C,) below which a bias would take more than 31 bits."""
    return np.abs(bias_C.astype(np.float64)) / (input_scale * LARGEST)


def _make_room(
    proto: onnx.ModelProto, tensors: Tensors, source: onnx.NodeProto, weight: onnx.NodeProto, bias: str
) -> int:
    scale = numpy_helper.to_array(tensors[weight.input[1]])
    least = least_scales(numpy_helper.to_array(tensors[bias]), _scale(tensors, source))
    wider = np.maximum(scale, least if scale.ndim else least.max()).astype(np.float32)
    if not (wider > scale).any():
        return 0
    values = numpy_helper.to_array(tensors[weight.input[0]])
    ratio = np.reshape(scale / wider, (-1, *[1] * (values.ndim - 1)))
    for slot, new in enumerate((np.rint(values * ratio).astype(np.int8), wider)):
        weight.input[slot] = _constant(proto, tensors, f"{weight.output[0]}_{slot}", new)
    return int((wider > scale).sum())


def _integer_bias(
    proto: onnx.ModelProto, tensors: Tensors, maker: dict[str, onnx.NodeProto], node: onnx.NodeProto
) -> onnx.NodeProto:
    """Quantize a node's bias, in place; the DequantizeLinear to put before it."""
    source, weight = maker[node.input[0]], maker[node.input[1]]
    scale = np.float32(_scale(tensors, source)) * numpy_helper.to_array(tensors[weight.input[1]])
    values = np.rint(numpy_helper.to_array(tensors[node.input[2]]) / scale.astype(np.float64)).astype(np.int32)
    name = f"{node.output[0]}_bias"
    inputs = [
        _constant(proto, tensors, f"{name}_int32", values),
        _constant(proto, tensors, f"{name}_scale", scale.astype(np.float32)),
    ]
    node.input[2] = name
    axis = {"axis": 0} if scale.ndim else {}
    return onnx.helper.make_node("DequantizeLinear", inputs, [name], name=f"{name}_node", **axis)


def _scale(tensors: Tensors, node: onnx.NodeProto) -> float:
    return float(numpy_helper.to_array(tensors[node.input[1]]))


def _constant(proto: onnx.ModelProto, tensors: Tensors, name: str, values: Array) -> str:
    """Add a constant: one of its own, since the exporter shares equal ones."""
    assert name not in tensors, name
    tensors[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
    proto.graph.initializer.append(tensors[name])
    return name
