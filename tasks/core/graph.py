"""Making an ONNX graph plain: the same bytes from any checkout, nothing in it that nobody asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import onnx
from onnx import numpy_helper

BRANCHES = ("If", "Loop", "Scan")


def plain(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without what depends on where, when or by what it was made: metadata, notes, producer, unused opsets.

    The exporter writes absolute source paths into every node, and ONNX Runtime imports every opset it knows.
    """
    clean = onnx.ModelProto()
    clean.CopyFrom(proto)
    del clean.metadata_props[:]
    for text in ("producer_name", "producer_version", "doc_string", "domain"):
        clean.ClearField(text)
    used = {"", *(n.domain for n in every_node(clean.graph)), *(f.domain for f in clean.functions)}
    used |= {n.domain for f in clean.functions for n in f.node}
    opsets = [(o.domain, o.version) for o in clean.opset_import if o.domain in used]
    del clean.opset_import[:]
    clean.opset_import.extend(onnx.helper.make_opsetid(*o) for o in sorted(opsets))
    _strip_graph(clean.graph)
    for function in clean.functions:
        _strip([function, *function.node, *function.value_info])
    return clean


def every_node(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes of a graph and of all graphs within it, such as the branches of an If."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                yield from every_node(inner)


def has_branches(proto: onnx.ModelProto) -> bool:
    """Whether what the graph computes depends on the rows it is given."""
    return any(node.op_type in BRANCHES for node in proto.graph.node)


def _strip_graph(graph: onnx.GraphProto) -> None:
    _strip([graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer])
    for node in graph.node:
        for attribute in node.attribute:
            attribute.ClearField("doc_string")
            for inner in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                _strip_graph(inner)


def _strip(messages: Iterable[Any]) -> None:
    for message in messages:
        del message.metadata_props[:]
        message.ClearField("doc_string")


def pool_globally(proto: onnx.ModelProto) -> None:
    """Turn every mean over height and width, (N, C, H, W) -> (N, C, 1, 1), into GlobalAveragePool, in place.

    PyTorch's exporter writes ReduceMean, for which ONNX Runtime has no INT8 kernel.
    """
    constants = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
    ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in proto.graph.value_info}
    for node in proto.graph.node:
        if node.op_type != "ReduceMean" or len(node.input) != 2 or ranks.get(node.input[0]) != 4:
            continue
        axes = constants.get(node.input[1])
        keeps = all(a.i == 1 for a in node.attribute if a.name == "keepdims")
        if axes is not None and keeps and sorted(int(a) % 4 for a in axes) == [2, 3]:
            node.op_type = "GlobalAveragePool"
            del node.input[1:]
            del node.attribute[:]
    drop_unused(proto)


def drop_unused(proto: onnx.ModelProto) -> None:
    """Remove the constants that no node reads, in place."""
    read = {name for node in proto.graph.node for name in node.input} | {o.name for o in proto.graph.output}
    unread = [t for t in proto.graph.initializer if t.name not in read]
    for tensor in unread:
        proto.graph.initializer.remove(tensor)


def float_output(proto: onnx.ModelProto) -> None:
    """Remove the QuantizeLinear and DequantizeLinear that stand between a matrix product and a graph output, in place.

    On 8 bits close classes would tie. A matrix product has an INT8 kernel with a float result, so this costs no time;
    other nodes have none and are left as they are.
    """
    graph = proto.graph
    maker = {name: node for node in graph.node for name in node.output}
    for output in graph.output:
        chain: list[onnx.NodeProto] = []
        name = output.name
        while name in maker and len(chain) < 3:
            chain.append(maker[name])
            name = maker[name].input[0]
        ops = [n.op_type for n in chain]
        if ops[:2] != ["DequantizeLinear", "QuantizeLinear"] or ops[2:] not in (["Gemm"], ["MatMul"]):
            continue
        dequantize, quantize, product = chain
        if sum(product.output[0] in n.input for n in graph.node) == 1:
            product.output[0] = output.name
            graph.node.remove(dequantize)
            graph.node.remove(quantize)
    drop_unused(proto)


def upstream(proto: onnx.ModelProto, prefix: str) -> list[str]:
    """The names of the nodes that take a constant whose name begins with `prefix`, and all they are computed from."""
    wanted: set[str] = set()
    found: list[str] = []
    for node in reversed(proto.graph.node):  # in the order of computing, so that each comes after what needs it
        if wanted & {*node.output} or any(name.startswith(prefix) for name in node.input):
            wanted |= {*node.input}
            found.append(node.name)
    return found[::-1]


def weight_name(node: onnx.NodeProto, constants: set[str]) -> str:
    """How a person knows the node: by the layer whose weight it holds, else by its own name."""
    weights: list[str] = [name for name in node.input if name.endswith(".weight") and name in constants]
    return weights[0].removesuffix(".weight") if weights else str(node.name)
