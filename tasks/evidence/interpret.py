"""A graph computed node by node: integer layers by `integer_layers`, every other node by ONNX Runtime alone.

What is computed is ONNX Runtime's own graph, after it has fused what it fuses for an x86 processor.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.core.graph import every_node
from tasks.evidence.integer_layers import FACTORS, Arithmetic
from tasks.evidence.patches import NotJudgedError, attributes

if TYPE_CHECKING:
    import onnx

Array = np.ndarray[Any, Any]
Values = dict[str, Array]


def fused(path: Path) -> onnx.ModelProto:
    """The graph as ONNX Runtime runs it on x86, its layouts for one processor's registers left out."""
    import onnx
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.add_session_config_entry("session.qdqisint8allowed", "0")  # as on x86, wherever this runs
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "fused.onnx")
        ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)


class Interpreter:
    """Runs a graph with one arithmetic at a time; what ONNX Runtime needs for each node is prepared once."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._sessions: dict[str, Any] = {}

    def run(self, inputs: Mapping[str, Array], arithmetic: Arithmetic) -> Array:
        """The graph's first output; NotJudgedError when a node cannot be computed alone."""
        graph = self._model.graph
        return self._graph(graph, dict(inputs), arithmetic)[graph.output[0].name]

    def _graph(self, graph: onnx.GraphProto, outer: Values, arithmetic: Arithmetic) -> Values:
        from onnx import numpy_helper

        values = {**outer, **{t.name: numpy_helper.to_array(t) for t in graph.initializer}}
        for node in graph.node:
            if node.op_type == "If":
                settings = attributes(node)
                branch = settings["then_branch" if values[node.input[0]].item() else "else_branch"]
                inner = self._graph(branch, values, arithmetic)
                found = [inner[o.name] for o in branch.output]
            elif node.op_type in FACTORS:
                found = [arithmetic.run(*self._prepared(node, [values[n] if n else None for n in node.input]))]
            else:
                found = self._alone(node, values)
            values.update(zip([name for name in node.output if name], found, strict=True))
        return values

    def _prepared(self, node: onnx.NodeProto, given: list[Array | None]) -> tuple[onnx.NodeProto, list[Array | None]]:
        """An integer layer and its inputs; one that puts its left factor on 8 bits by itself has that done before."""
        from onnx import helper

        if node.op_type != "DynamicQuantizeMatMul":
            return node, given
        a, b, b_scale, b_zero, bias, *_ = [*given, None, None]
        assert a is not None
        names = [f"{node.output[0]}/{part}" for part in ("values", "scale", "zero")]
        quantize = helper.make_node("DynamicQuantizeLinear", [node.input[0]], names)
        small, scale, zero = self._alone(quantize, {node.input[0]: a})
        rest = helper.make_node("MatMulIntegerToFloat", [], [], name=node.name)
        return rest, [small, b, scale, b_scale, zero, b_zero, bias]

    def _alone(self, node: onnx.NodeProto, values: Values) -> list[Array]:
        names = list(dict.fromkeys(name for name in _read(node) if name in values))
        key = node.output[0]
        if key not in self._sessions:
            self._sessions[key] = _session(node, {name: values[name] for name in names}, self._model)
        outputs = [name for name in node.output if name]
        return list(self._sessions[key].run(outputs, {name: values[name] for name in names}))


def _read(node: onnx.NodeProto) -> Iterator[str]:
    """What a node takes, and what the graphs within it take from outside."""
    yield from node.input
    for attribute in node.attribute:
        for graph in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
            yield from (name for inner in every_node(graph) for name in inner.input)


def _session(node: onnx.NodeProto, values: Values, model: onnx.ModelProto) -> Any:
    import onnxruntime as ort
    from onnx import helper
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    types = {name: helper.np_dtype_to_tensor_dtype(value.dtype) for name, value in values.items()}
    given = [helper.make_tensor_value_info(n, types[n], [None] * values[n].ndim) for n in values]
    made = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
    graph = helper.make_graph([node], "one", given, made)
    one = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    failures = (state.Fail, state.InvalidGraph, state.NotImplemented, state.InvalidArgument, state.RuntimeException)
    try:
        return ort.InferenceSession(one.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except failures as e:
        reason = str(e).splitlines()[0]
        raise NotJudgedError(f"{node.op_type} {node.name!r} cannot be computed alone: {reason}") from None
