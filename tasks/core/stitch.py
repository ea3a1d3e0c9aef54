"""Several ONNX models stitched into one, in which a row goes only as far as it needs to.

A *chain* is a list of segments. Each gives its answer, a mask (N,) of the rows that must go on, and what they carry,
in this order; the last gives its answer alone. The rows that go on are gathered, run through the rest inside an
`If`, and their answers are put back in place. What is skipped is not computed, and a row's answer does not depend on
the other rows of its batch.
*Use when* work depends on the row: early exits, adaptive computation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import onnx
from onnx import TensorProto, helper

LOGITS = "logits"


class Piece(NamedTuple):
    """Nodes and constants of a part of a graph, and what its outputs are called."""

    nodes: list[onnx.NodeProto]
    constants: list[onnx.TensorProto]
    outputs: list[str]


def inlined(proto: onnx.ModelProto, prefix: str, names: Mapping[str, str]) -> Piece:
    """The graph of `proto` with `prefix` before every name, save those that `names` renames."""
    assert not proto.functions, "a segment with functions"

    def named(name: str) -> str:
        return names.get(name) or (prefix + name if name else "")

    nodes, constants = [], []
    for index, old in enumerate(proto.graph.node):
        node = onnx.NodeProto()
        node.CopyFrom(old)
        assert not any(a.HasField("g") or a.graphs for a in node.attribute), "a segment with branches"
        node.name = f"{prefix}{old.name or index}"
        node.input[:], node.output[:] = map(named, old.input), map(named, old.output)
        nodes.append(node)
    for held in proto.graph.initializer:
        tensor = onnx.TensorProto()
        tensor.CopyFrom(held)
        tensor.name = named(held.name)
        constants.append(tensor)
    return Piece(nodes, constants, [named(o.name) for o in proto.graph.output])


def chain(segments: Sequence[onnx.ModelProto], feeds: Sequence[str], prefix: str, answer: str) -> Piece:
    """The segments nested in one another; `feeds` are the names of the first one's inputs, `answer` that of its output.

    Answers are float32 and of one shape a row, whichever segment gives them.
    """
    first, rest = segments[0], segments[1:]
    names = dict(zip((i.name for i in first.graph.input), feeds, strict=True))
    if not rest:
        return inlined(first, prefix, {**names, first.graph.output[0].name: answer})
    part = inlined(first, prefix, names)
    early, go_on, *carried = part.outputs
    gathered = [f"{name}_left" for name in carried]
    inner = chain(rest, gathered, f"{prefix}next/", f"{prefix}late")
    moved = zip(carried, gathered, strict=True)
    then = [
        *(helper.make_node("Compress", [x, go_on], [y], f"{y}_rows", axis=0) for x, y in moved),
        *inner.nodes,
        helper.make_node("NonZero", [go_on], [f"{prefix}at"], f"{prefix}nonzero"),
        helper.make_node("Transpose", [f"{prefix}at"], [f"{prefix}rows"], f"{prefix}transpose", perm=[1, 0]),
        helper.make_node("ScatterND", [early, f"{prefix}rows", f"{prefix}late"], [f"{prefix}then"], f"{prefix}put"),
    ]
    otherwise = [helper.make_node("Identity", [early], [f"{prefix}else"], f"{prefix}identity")]
    branches = {
        "then_branch": _branch(then, inner.constants, f"{prefix}then"),
        "else_branch": _branch(otherwise, [], f"{prefix}else"),
    }
    one, any_row = f"{prefix}ones", f"{prefix}any"
    decide = [
        # As integers: ONNX Runtime has no maximum of truths.
        helper.make_node("Cast", [go_on], [one], f"{one}_cast", to=TensorProto.INT32),
        helper.make_node("ReduceMax", [one], [f"{one}_max"], f"{one}_max", keepdims=0),
        helper.make_node("Cast", [f"{one}_max"], [any_row], f"{any_row}_cast", to=TensorProto.BOOL),
        helper.make_node("If", [any_row], [answer], f"{prefix}if", **branches),
    ]
    return Piece([*part.nodes, *decide], part.constants, [answer])


def _branch(nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto], output: str) -> onnx.GraphProto:
    value = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    return helper.make_graph(nodes, output, [], [value], constants)


def model(pieces: Sequence[Piece], first: onnx.ModelProto, classes: int) -> onnx.ModelProto:
    """The pieces as one model with the inputs of `first`, and of its versions; the last gives `logits`."""
    output = helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, ["batch", classes])
    nodes = [node for piece in pieces for node in piece.nodes]
    constants = [tensor for piece in pieces for tensor in piece.constants]
    graph = helper.make_graph(nodes, "stitched", list(first.graph.input), [output], constants)
    return helper.make_model(graph, opset_imports=list(first.opset_import), ir_version=first.ir_version)
