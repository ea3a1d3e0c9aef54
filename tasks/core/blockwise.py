"""Weights of matrix products on 4 or 8 bits, a scale to every block of them: ONNX Runtime's operator MatMulNBits.

Round-to-nearest, no data needed. The operator multiplies (N, K) by a constant (K, M): a Gemm becomes a MatMul and an
addition first. Blocks run along K; the last one is padded, so that a short K can cost more bytes than float does.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

PRODUCTS = ("Gemm", "MatMul")
ACCURACY_LEVEL = {"int8": 4, "float32": 0}
"""MatMulNBits' attribute: what it may round the activations to."""


def weight_only(
    folded: onnx.ModelProto, *, bits: int, block_size: int, symmetric: bool, arithmetic: str, exclude: Collection[str]
) -> onnx.ModelProto:
    """A copy of `folded` with MatMulNBits for every Gemm and MatMul with constant weights that is not excluded."""
    proto = split_gemms(folded, exclude)
    quantizer = MatMulNBitsQuantizer(
        proto,
        bits=bits,
        block_size=block_size,
        is_symmetric=symmetric,
        accuracy_level=ACCURACY_LEVEL[arithmetic],
        nodes_to_exclude=sorted(exclude),
    )
    quantizer.process()
    result: onnx.ModelProto = quantizer.model.model
    return result


def unfit(folded: onnx.ModelProto, *, bits: int, block_size: int, symmetric: bool) -> dict[str, str]:
    """Node name -> why MatMulNBits cannot or should not take its place, of the products with constant weights."""
    shapes = {t.name: tuple(t.dims) for t in folded.graph.initializer}
    found: dict[str, str] = {}
    for node in folded.graph.node:
        if node.op_type not in PRODUCTS or node.input[1] not in shapes:
            continue
        shape, flags = shapes[node.input[1]], attributes(node)
        if any(size != 1 for size in shape[:-2]) or len(shape) < 2:
            found[node.name] = f"MatMulNBits takes one matrix, not weights of shape {list(shape)}"
            continue
        if flags.get("alpha", 1) != 1 or flags.get("beta", 1) != 1 or flags.get("transA", 0):
            found[node.name] = "MatMulNBits has no form of a Gemm with alpha, beta or transA"
            continue
        k, m = shape[:-3:-1] if flags.get("transB") else shape[-2:]
        small, large = packed_bytes(k, m, bits=bits, block_size=block_size, symmetric=symmetric), 4 * k * m
        if small >= large:
            found[node.name] = f"{k} inputs, padded to blocks of {block_size}, take {small} bytes, {large} in float"
    return found


def packed_bytes(k: int, m: int, *, bits: int, block_size: int, symmetric: bool) -> int:
    """Bytes of a (K, M) weight as MatMulNBits stores it: padded blocks, a float scale each, zero points if any."""
    blocks = -(-k // block_size)
    zero_points = 0 if symmetric else -(-blocks * bits // 8)
    return m * (blocks * block_size * bits // 8 + 4 * blocks + zero_points)


def split_gemms(folded: onnx.ModelProto, exclude: Collection[str]) -> onnx.ModelProto:
    """A copy with a MatMul, of the same name, and an Add for every Gemm with constant weights, less the excluded."""
    proto = onnx.ModelProto()
    proto.CopyFrom(folded)
    graph = proto.graph
    constants = {t.name: t for t in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type != "Gemm" or node.name in exclude or node.input[1] not in constants:
            nodes.append(node)
            continue
        weight = node.input[1]
        if attributes(node).get("transB"):
            weight = f"{weight}_transposed"
            if weight not in constants:
                values = np.ascontiguousarray(numpy_helper.to_array(constants[node.input[1]]).T)
                constants[weight] = numpy_helper.from_array(values, weight)
                graph.initializer.append(constants[weight])
        biased = len(node.input) > 2 and bool(node.input[2])
        product = f"{node.output[0]}_product" if biased else node.output[0]
        nodes.append(helper.make_node("MatMul", [node.input[0], weight], [product], name=node.name))
        if biased:
            nodes.append(helper.make_node("Add", [product, node.input[2]], node.output, name=f"{node.name}_bias"))
    del graph.node[:]
    graph.node.extend(nodes)
    read = {name for node in nodes for name in node.input}
    for tensor in [t for t in graph.initializer if t.name not in read]:
        graph.initializer.remove(tensor)
    return proto


def attributes(node: onnx.NodeProto) -> dict[str, float]:
    """A Gemm's numbers by name."""
    return {a.name: a.f if a.type == onnx.AttributeProto.FLOAT else a.i for a in node.attribute}
