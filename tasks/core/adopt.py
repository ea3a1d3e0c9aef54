"""Fitting a stranger's ONNX graph to the data, and running it against the file: every row must be answered alike.

Shapes: N = rows, C = classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnxruntime.capi import onnxruntime_pybind11_state as state
from scipy import special

from tasks.core.adopt_input import fit_inputs
from tasks.core.adopt_output import fit_output, free_batch
from tasks.core.arrays import pick
from tasks.core.contract import Data, Facts
from tasks.core.errors import TechniqueError
from tasks.core.export import LEVELS, LOGITS, at_every_level, relative_difference, session
from tasks.core.graph import plain, pool_globally
from tasks.core.graph_file import nodes, tensors

Array = np.ndarray[Any, Any]
RUNTIME = (state.Fail, state.InvalidArgument, state.InvalidGraph, state.NotImplemented, state.RuntimeException)


def adopt(
    proto: onnx.ModelProto, given: onnx.ModelProto, data: Data, *, output: str | None, normalise: bool
) -> tuple[onnx.ModelProto, Facts]:
    """`proto`, changed in place where need be, as this house serves it, and what was done; `given` is the file's.

    Raises TechniqueError when the graph does not fit the data, or does not answer as `given` does.
    """
    batch = given.graph.input[0].type.tensor_type.shape.dim
    fixed = batch[0].dim_value if batch and batch[0].HasField("dim_value") else 0
    front = fit_inputs(proto, data, normalise=normalise)
    removed = fit_output(proto, len(data.classes), output)
    if fixed:
        free_batch(proto, fixed)
    # What was written of the shapes between may hold the old number of rows.
    del proto.graph.value_info[:]
    proto = onnx.shape_inference.infer_shapes(proto)
    pool_globally(proto)
    proto = plain(proto)
    name = output or given.graph.output[0].name
    difference = compare(given, proto, data, name=name, fixed=fixed, front=front, softmax="softmax" in removed)
    return proto, {
        "put_in_front": [*front],
        "taken_off": [*removed],
        "batch_was": fixed or "any",
        "differs_from_file": float(f"{difference:.1e}"),
    }


def compare(
    given: onnx.ModelProto,
    proto: onnx.ModelProto,
    data: Data,
    *,
    name: str,
    fixed: int,
    front: list[str],
    softmax: bool,
) -> float:
    """How far `proto`, given raw rows of `val` all at once, is from the file, given them as it wants, of their scale.

    Raises TechniqueError above PARITY_LIMIT, or when either cannot be run.
    """
    val = data.split("val")
    rows = pick(val, np.arange(max(8, 2 * fixed)) % len(val))
    raw = {key: np.ascontiguousarray(values[:]) for key, values in rows.inputs.items()}
    theirs = {i.name: i for i in given.graph.input}
    alone = next(iter(theirs)) if len(theirs) == 1 else None
    fed = {alone or key: prepared(x, theirs[alone or key], data, front) for key, x in raw.items()}
    size = fixed or len(rows)
    # Few bits are rounded otherwise at another level; what computes in float32 must answer as the file is written.
    written = None if few_bits(given) else ask_file(given, fed, name, size, LEVELS[0])

    def difference(level: str) -> float:
        found = ask_fitted(proto, raw, (len(rows), len(data.classes)), fixed, level)
        found = special.softmax(found, axis=1) if softmax else found
        return relative_difference(found, ask_file(given, fed, name, size, level) if written is None else written)

    return at_every_level(difference, "load_onnx: the graph fitted to the data and the file")


def few_bits(proto: onnx.ModelProto) -> bool:
    """Whether a graph computes in integers or half precision."""
    halves = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
    ops = {node.op_type for node in nodes(proto.graph)}
    integers = any("quantize" in op.lower() or op.startswith("QLinear") or op.endswith("Integer") for op in ops)
    return integers or any(t.data_type in halves for t in tensors(proto))


def ask_file(proto: onnx.ModelProto, fed: Mapping[str, Array], name: str, size: int, level: str) -> Array:
    """What the file answers as output `name`, `size` rows at a time; TechniqueError when it cannot be run."""
    rows = len(next(iter(fed.values())))
    try:
        run = session(proto, level).run
        parts = [run([name], {k: x[n : n + size] for k, x in fed.items()})[0] for n in range(0, rows, size)]
    except RUNTIME as e:
        raise TechniqueError(f"load_onnx: ONNX Runtime cannot run the file: {str(e).splitlines()[0]}") from None
    return np.concatenate(parts)


def ask_fitted(
    proto: onnx.ModelProto, raw: Mapping[str, Array], shape: tuple[int, int], fixed: int, level: str
) -> Array:
    """What the fitted graph answers to all rows at once; TechniqueError when it cannot, or not in this shape."""
    try:
        found: Array = session(proto, level).run([LOGITS], dict(raw))[0]
    except RUNTIME as e:
        known = f"its batch is fixed at {fixed} inside: export it with a dynamic one" if fixed else "see the reason"
        raise TechniqueError(f"load_onnx: the graph does not take any number of rows ({known}): {e}") from None
    if found.shape != shape:
        raise TechniqueError(f"load_onnx: gives {found.shape} for {shape[0]} rows and {shape[1]} classes")
    return found


def prepared(raw: Array, value: onnx.ValueInfoProto, data: Data, front: list[str]) -> Array:
    """Raw rows as the file's own input wants them: what the nodes in front do, in numpy."""
    x = raw.astype(helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
    if any(step.startswith("minus") for step in front):
        shape = (-1, *[1] * (x.ndim - 2))
        about = data.preprocess
        x = ((x - np.reshape(about.mean, shape)) / np.reshape(about.std, shape)).astype(x.dtype)
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if "transpose" in front else x
