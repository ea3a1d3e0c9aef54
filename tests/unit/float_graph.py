"""Hand-made float networks for the quantizer: no training, and labels that are the network's own answers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tasks.core.contract import Data, Graph, Split
from tasks.core.export import session
from tasks.core.preprocess import Preprocess
from tasks.techniques import quantize

INPUTS, CLASSES = 40, 4


def mlp(hidden: Sequence[int] = (48, 32), *, op: str = "Gemm", frail: str = "") -> Graph:
    """features (n, 40) -> layers body.0, body.1, ... with Relu between -> logits (n, 4).

    The layer `frail` has in every output an outlier of 400 times its weights, on an input that is always zero: float
    does not notice it, and few bits have nothing left for the rest.
    """
    rng = np.random.default_rng(3)
    widths = [INPUTS, *hidden, CLASSES]
    nodes, tensors, x = [], [], "features"
    for i, (wide, out) in enumerate(pairwise(widths)):
        weight = (rng.normal(size=(wide, out)) / np.sqrt(wide)).astype(np.float32)
        if i > 0:
            tensors[-1].CopyFrom(_dead_last(tensors[-1]))
            tensors[-2].CopyFrom(_dead_last(tensors[-2]))
        if f"body.{i}" == frail:
            weight[-1] = 400 * np.abs(weight).max()
        bias = rng.normal(size=out).astype(np.float32) / 10
        tensors += [
            numpy_helper.from_array(weight, f"body.{i}.weight"),
            numpy_helper.from_array(bias, f"body.{i}.bias"),
        ]
        last = i == len(widths) - 2
        y = "logits" if last else f"h{i}"
        if op == "Gemm":
            nodes.append(helper.make_node("Gemm", [x, f"body.{i}.weight", f"body.{i}.bias"], [y], name=f"node_{i}"))
        else:
            nodes.append(helper.make_node("MatMul", [x, f"body.{i}.weight"], [f"p{i}"], name=f"node_{i}"))
            nodes.append(helper.make_node("Add", [f"p{i}", f"body.{i}.bias"], [y], name=f"add_{i}"))
        if not last:
            nodes.append(helper.make_node("Relu", [y], [f"r{i}"], name=f"relu_{i}"))
            x = f"r{i}"
    given = [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", INPUTS])]
    gives = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", CLASSES])]
    graph = helper.make_graph(nodes, "g", given, gives, tensors)
    return Graph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))


def _dead_last(tensor: onnx.TensorProto) -> onnx.TensorProto:
    """The same weight or bias with a last output that is always zero after Relu."""
    values = numpy_helper.to_array(tensor).copy()
    values[..., -1] = 0
    return numpy_helper.from_array(values, tensor.name)


def data_for(graph: Graph, rows: int = 256) -> Data:
    """Rows whose labels are what `graph` answers, so that its accuracy is 1; the last feature is always zero."""
    x = np.random.default_rng(4).normal(size=(rows, INPUTS)).astype(np.float32)
    x[:, -1] = 0
    y = logits(graph.proto, x).argmax(axis=1).astype(np.int64)
    split = Split({"features": x}, y)
    fewer = Split({"features": x[:50]}, y[:50])
    return Data(split, [str(c) for c in range(CLASSES)], Preprocess(kind="array"), fewer, split, split)


def logits(proto: onnx.ModelProto, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What ONNX Runtime answers."""
    out: np.ndarray[Any, Any] = session(proto).run(["logits"], {"features": x})[0]
    return out


def constants(proto: onnx.ModelProto) -> dict[str, np.ndarray[Any, Any]]:
    """The graph's tensors by name."""
    return {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}


def made(parent: Graph | None = None, **params: Any) -> Any:
    """The outcome of `quantize` on `parent`, by default a sound `mlp`."""
    parent = parent or mlp()
    return quantize.apply(parent, data_for(parent), quantize.Params(**params))
