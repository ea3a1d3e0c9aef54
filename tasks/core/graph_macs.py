"""Multiply-accumulates (MACs) of an ONNX graph for one row, from its inferred shapes.

Counted: Conv, ConvTranspose, Gemm, MatMul and their integer forms (ConvInteger, MatMulInteger, QLinearConv,
QLinearMatMul, QGemm, MatMulNBits), products of two activations included. Biases, norms, pooling,
activations and elementwise steps are not MACs. What multiplies but is not in that list (`UNCOUNTED`) is an error,
never a zero. Of the branches of an `If` the dearest counts: the sum is the most that a row can cost.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tasks.core.errors import ArtifactError
from tasks.core.graph_branches import dearest, laid_out

if TYPE_CHECKING:
    import onnx

Shape = tuple[int, ...]
CONVS = {"Conv": (0, 1), "ConvInteger": (0, 1), "QLinearConv": (0, 3), "ConvTranspose": (0, 1)}
MATMULS = {"Gemm": (0, 1), "MatMul": (0, 1), "MatMulInteger": (0, 1), "QLinearMatMul": (0, 3), "QGemm": (0, 3)}
FACTORS = {**CONVS, **MATMULS}  # op -> slots of its two factors
UNCOUNTED = ("Einsum", "LSTM", "GRU", "RNN", "DeformConv", "Attention", "MultiHeadAttention")
BODIES = ("Loop", "Scan", "SequenceMap")


def graph_macs(model: onnx.ModelProto, rows: Mapping[str, Shape]) -> int:
    """MACs for one row; `rows` (the shape of a row of each input) fills in what the file leaves open.

    ArtifactError when a layer's shape cannot be told, or when it multiplies in a way that is not counted here.
    """
    model, paths = laid_out(model)
    return dearest([(paths.get(name, ()), macs) for name, macs in _counted(model, rows)])


def node_macs(model: onnx.ModelProto, rows: Mapping[str, Shape]) -> dict[str, int]:
    """MACs for one row of every node that has any, by the node's name; as `graph_macs`, whose parts these are."""
    return dict(_counted(laid_out(model)[0], rows))


def _counted(model: onnx.ModelProto, rows: Mapping[str, Shape]) -> Iterator[tuple[str, int]]:
    model = _with_plain_products(model)
    shapes = _shapes(model, rows)
    for node in model.graph.node:
        if node.op_type in UNCOUNTED or node.op_type in BODIES:
            raise ArtifactError(f"node {node.name!r}: the MACs of {node.op_type} are not counted here")
        if node.op_type not in FACTORS:
            continue
        left, right = (node.input[slot] for slot in FACTORS[node.op_type])
        # ONNX cannot infer the output of QGemm, which is ONNX Runtime's own; its two factors are enough
        needed = (left, right) if node.op_type == "QGemm" else (left, right, node.output[0])
        for name in needed:
            if name not in shapes:
                raise ArtifactError(f"node {node.name!r} ({node.op_type}): the shape of {name!r} is unknown")
        yield node.name, _node_macs(node, shapes[left], shapes[right], shapes.get(node.output[0], ()))


def _with_plain_products(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with a MatMul by (K, N) zeros for every MatMulNBits, whose output ONNX cannot infer."""
    import numpy as np
    from onnx import ModelProto, helper, numpy_helper

    copy = ModelProto()
    copy.CopyFrom(model)
    nodes = []
    for node in copy.graph.node:
        if node.op_type == "MatMulNBits":
            sizes = {a.name: a.i for a in node.attribute}
            shape, zeros = f"{node.output[0]}_weight_shape", f"{node.output[0]}_weight"
            copy.graph.initializer.append(numpy_helper.from_array(np.array([sizes["K"], sizes["N"]]), shape))
            nodes.append(helper.make_node("ConstantOfShape", [shape], [zeros]))
            node = helper.make_node("MatMul", [node.input[0], zeros], node.output, name=node.name)
        nodes.append(node)
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def constants(graph: onnx.GraphProto) -> Iterator[tuple[str, Shape, bool]]:
    """(name, shape, is an integer) of every initializer and Constant node."""
    import onnx

    floats = {getattr(onnx.TensorProto, t) for t in ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE")}
    for tensor in graph.initializer:
        yield tensor.name, tuple(tensor.dims), tensor.data_type not in floats
    for node in graph.node:
        if node.op_type == "Constant":
            held = node.attribute[0]
            if held.name == "value":
                yield node.output[0], tuple(held.t.dims), held.t.data_type not in floats
            else:
                yield node.output[0], (max(1, len(held.floats) + len(held.ints)),), not held.name.startswith("value_f")


def _shapes(model: onnx.ModelProto, rows: Mapping[str, Shape]) -> dict[str, Shape]:
    """Every shape that is known in full when the batch is one row."""
    from onnx import shape_inference

    graph = model.graph
    constant = {t.name for t in graph.initializer}
    for value in (v for v in graph.input if v.name not in constant):
        dims = value.type.tensor_type.shape.dim
        if value.name in rows and len(dims) == 1 + len(rows[value.name]):
            for dim, size in zip(dims[1:], rows[value.name], strict=True):
                dim.dim_value = size
        if dims:
            dims[0].dim_value = 1
    del graph.value_info[:]  # they name the open batch dimension
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    graph = shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {name: shape for name, shape, _ in constants(graph)}
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim):
            shapes[value.name] = tuple(d.dim_value for d in tensor.shape.dim)
    return shapes


def _node_macs(node: onnx.NodeProto, left: Shape, right: Shape, out: Shape) -> int:
    """Conv: outputs x (C_in / groups x kernel). ConvTranspose: inputs x the same. Matrix product: outputs x K."""
    flags = {a.name: a.i for a in node.attribute}
    if node.op_type == "ConvTranspose":
        return math.prod(left) * math.prod(right[1:])
    if node.op_type in CONVS:
        return math.prod(out) * math.prod(right[1:])
    if node.op_type == "QGemm":
        return math.prod(left) * right[0 if flags.get("transB") else 1]
    return math.prod(out) * left[-2 if flags.get("transA") else -1]
