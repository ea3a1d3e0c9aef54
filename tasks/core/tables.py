"""Embedding tables on 8 bits: int8 rows are looked up, and only what was looked up becomes float.

A token embedding is half of the bytes of a small BERT, and ONNX Runtime's dynamic and weight-only schemes leave it in
float. Here a Gather over a constant float table (V, D) becomes a Gather over its int8 form and a DequantizeLinear with
one scale a column: symmetric, rounded to nearest. The other order, DequantizeLinear first, would be folded back into a
float table when ONNX Runtime loads the file. Shapes: V = rows of a table, D = its columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tasks.core.graph import drop_unused

Array = np.ndarray[Any, Any]
INT8_MAX = 127
SCHEMES = ("dynamic", "weight_only")
"""The schemes of the technique `quantize` that leave tables to this module; `static` takes them in itself."""


def tables(proto: onnx.ModelProto) -> dict[str, str]:
    """Node name -> table of every Gather that looks up rows of a constant float table of two axes."""
    floats = {t.name for t in proto.graph.initializer if t.data_type == TensorProto.FLOAT and len(t.dims) == 2}
    return {
        n.name: n.input[0]
        for n in proto.graph.node
        if n.op_type == "Gather" and n.input[0] in floats and not any(a.name == "axis" and a.i for a in n.attribute)
    }


def int8_bytes(rows: int, columns: int) -> int:
    """Bytes of a (V, D) table on 8 bits, its scales included; float takes 4 V D."""
    return rows * columns + 4 * columns


def wasteful(proto: onnx.ModelProto) -> dict[str, str]:
    """Node name -> why its table stays in float: it is so short that the scales would outweigh what is saved."""
    shapes = {t.name: tuple(t.dims) for t in proto.graph.initializer}
    found = {}
    for node, table in tables(proto).items():
        small, large = int8_bytes(*shapes[table]), 4 * math.prod(shapes[table])
        if small >= large:
            found[node] = f"a table of {shapes[table][0]} rows takes {small} bytes on 8 bits, {large} in float"
    return found


def quantized(table_VD: Array) -> tuple[Array, Array]:
    """The table as int8 (V, D) and a float32 scale a column (D,), whose product is nearest to it."""
    widest_D = np.abs(table_VD).max(axis=0)
    scale_D = np.where(widest_D > 0, widest_D / INT8_MAX, 1).astype(np.float32)
    return np.clip(np.rint(table_VD / scale_D), -INT8_MAX, INT8_MAX).astype(np.int8), scale_D


def on_8_bits(proto: onnx.ModelProto, exclude: Collection[str]) -> onnx.ModelProto:
    """A copy of `proto` with int8 tables in place of the float ones, less those of the nodes in `exclude`."""
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    graph = result.graph
    ranks = _ranks(proto)
    values = {t.name: t for t in graph.initializer}
    chosen = {node: table for node, table in tables(result).items() if node not in exclude and node in ranks}
    nodes = []
    for node in graph.node:
        if node.name not in chosen:
            nodes.append(node)
            continue
        table = chosen[node.name]
        small, scale, looked_up = f"{table}_int8", f"{table}_scale", f"{node.output[0]}_int8"
        if small not in values:
            for name, array in zip((small, scale), quantized(numpy_helper.to_array(values[table])), strict=True):
                values[name] = numpy_helper.from_array(array, name)
                graph.initializer.append(values[name])
        name = f"{node.name}_int8"
        nodes.append(helper.make_node("Gather", [small, node.input[1]], [looked_up], name=name, axis=0))
        axis = ranks[node.name]  # the last one: the indices' axes come first
        inputs, name = [looked_up, scale], f"{node.name}_float"
        nodes.append(helper.make_node("DequantizeLinear", inputs, [node.output[0]], name=name, axis=axis))
    del graph.node[:]
    graph.node.extend(nodes)
    drop_unused(result)
    return result


def too(make: Callable[[frozenset[str]], onnx.ModelProto]) -> Callable[[frozenset[str]], onnx.ModelProto]:
    """`make`, which quantizes all but the nodes of some names, extended to tables."""
    return lambda kept: on_8_bits(make(kept), kept)


def _ranks(proto: onnx.ModelProto) -> dict[str, int]:
    """How many axes the indices of each table's look-up have, where shape inference can tell."""
    inferred = onnx.shape_inference.infer_shapes(proto).graph
    known = {t.name: len(t.dims) for t in inferred.initializer}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        if value.type.tensor_type.HasField("shape"):
            known[value.name] = len(value.type.tensor_type.shape.dim)
    indices = {n.name: n.input[1] for n in proto.graph.node if n.name in tables(proto)}
    return {node: known[name] for node, name in indices.items() if name in known}
