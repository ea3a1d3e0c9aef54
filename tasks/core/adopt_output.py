"""Fitting the output of a stranger's ONNX graph to the data: `logits` (N, C) alone, for any number of rows.

Shapes: N = rows, C = classes.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper, numpy_helper

from tasks.core.adopt_input import BATCH
from tasks.core.errors import TechniqueError, nearest
from tasks.core.export import LOGITS
from tasks.core.graph import drop_unused
from tasks.core.graph_file import nodes, rename


def fit_output(proto: onnx.ModelProto, classes: int, wanted: str | None) -> list[str]:
    """Leave one output, `logits` (N, C), in place; returns what was taken off: other outputs, a final softmax.

    Raises TechniqueError when there are several and none is `wanted`, or its shape is known to be another.
    """
    graph, removed = proto.graph, []
    names = [o.name for o in graph.output]
    if wanted is None and len(names) != 1:
        raise TechniqueError(f"load_onnx: the graph has the outputs {names}; say which are the logits: `output: NAME`")
    name = wanted or names[0]
    if name not in names:
        raise TechniqueError(f"load_onnx: no output {name!r}; the graph has {names}{nearest(name, names)}")
    for other in [o for o in graph.output if o.name != name]:
        removed.append(f"output {other.name}")
        graph.output.remove(other)
    (output,) = graph.output
    kind = output.type.tensor_type.elem_type
    shape = [d.dim_value if d.HasField("dim_value") else None for d in output.type.tensor_type.shape.dim]
    if kind != TensorProto.FLOAT or (shape and (len(shape) != 2 or shape[1] not in (None, classes))):
        found = f"{TensorProto.DataType.Name(kind).lower()} {shape}"
        raise TechniqueError(f"load_onnx: output {name!r}: found {found}; allowed: float (N, {classes}), one a class")
    last = next((n for n in graph.node if name in n.output), None)
    if last is not None and last.op_type == "Softmax" and all(a.i in (-1, 1) for a in last.attribute):
        removed.append("softmax")
        graph.node.remove(last)
        output.name = name = last.input[0]
    rename(graph, name, LOGITS)
    output.CopyFrom(helper.make_tensor_value_info(LOGITS, kind, [BATCH, classes]))
    drop_dead(graph)
    drop_unused(proto)
    return removed


def drop_dead(graph: onnx.GraphProto) -> None:
    """Remove the nodes whose results nobody reads, in place."""
    while True:
        read = {name for node in nodes(graph) for name in node.input} | {o.name for o in graph.output}
        dead = [n for n in graph.node if not read.intersection(n.output)]
        if not dead:
            return
        for node in dead:
            graph.node.remove(node)


def free_batch(proto: onnx.ModelProto, fixed: int) -> None:
    """Let reshapes that hold the old number of rows, `fixed`, keep whatever number comes, in place."""
    graph = proto.graph
    constants = {t.name: t for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = node.attribute[0].t
    for node in [n for n in graph.node if n.op_type == "Reshape" and n.input[1] in constants]:
        shape = numpy_helper.to_array(constants[node.input[1]]).copy()
        if shape.size > 1 and shape[0] == fixed and not any(a.name == "allowzero" and a.i for a in node.attribute):
            shape[0] = 0  # the number of rows that came in
            free = f"{node.output[0]}_shape"
            graph.initializer.append(numpy_helper.from_array(shape, free))
            node.input[1] = free
    drop_unused(proto)
