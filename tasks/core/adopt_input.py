"""Fitting the inputs of a stranger's ONNX graph to the data: raw rows in, any number of them.

Shapes: N = rows; a picture's row is (channels, height, width).
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tasks.core.contract import Data
from tasks.core.errors import TechniqueError
from tasks.core.graph_file import rename

BATCH = "batch"
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)


def fit_inputs(proto: onnx.ModelProto, data: Data, *, normalise: bool) -> list[str]:
    """Make the graph take the data's inputs by their names, raw, in place; returns what was put in front.

    Raises TechniqueError when number, names, shapes or element types cannot be brought together.
    """
    graph, wanted = proto.graph, list(data.train.inputs)
    names = [i.name for i in graph.input]
    if len(names) == len(wanted) == 1:
        rename(graph, names[0], wanted[0])
    elif set(names) != set(wanted):
        raise TechniqueError(f"load_onnx: the graph takes {names}, the data have {wanted}; the names must be the same")
    done: list[str] = []
    for value in list(graph.input):
        rows = data.train.inputs[value.name]
        raw = helper.np_dtype_to_tensor_dtype(np.dtype(rows.dtype))
        kind, row = value.type.tensor_type.elem_type, tuple(rows.shape[1:])
        steps = fit_shape(value, row)
        if kind in FLOATS and raw not in FLOATS and normalise and data.preprocess.mean:
            steps = ["minus the mean, over the deviation", *steps]
        if kind != raw:
            if kind not in FLOATS and (raw in FLOATS or raw == TensorProto.UINT8):
                allowed = f"{TensorProto.DataType.Name(raw).lower()}, as the data are, or floats"
                found = TensorProto.DataType.Name(kind).lower()
                raise TechniqueError(f"load_onnx: input {value.name!r}: found {found}; allowed: {allowed}")
            steps = ["cast", *steps]
        put_in_front(graph, value, steps, raw, row, data)
        done += steps
    return done


def fit_shape(value: onnx.ValueInfoProto, row: tuple[int, ...]) -> list[str]:
    """Set the input's shape to (batch, *row); ["transpose"] when the graph wants pictures as (height, width, channels).

    Raises TechniqueError when its fixed sizes are not those of the row.
    """
    dims = value.type.tensor_type.shape.dim
    found = tuple(d.dim_value if d.HasField("dim_value") else None for d in dims)
    for order, steps in ((row, []), ((*row[1:], row[0]), ["transpose"] if len(row) == 3 else None)):
        fits = len(found) == len(row) + 1 and all(f in (None, n) for f, n in zip(found[1:], order, strict=True))
        if fits and steps is not None:
            for dim, n in zip(dims[1:], order, strict=True):
                dim.dim_value = n
            dims[0].dim_param = BATCH
            return steps
    text = tuple("?" if f is None else f for f in found)
    raise TechniqueError(
        f"load_onnx: input {value.name!r}: found shape {text}; allowed: {('any', *row)}, as the data are"
    )


def put_in_front(
    graph: onnx.GraphProto, value: onnx.ValueInfoProto, steps: list[str], raw: int, row: tuple[int, ...], data: Data
) -> None:
    """Put the nodes of `steps` between the raw input and the graph's old one, in place."""
    if not steps:
        return
    kind, name = value.type.tensor_type.elem_type, value.name
    rename(graph, name, f"{name}_ready")
    made, last = [], name
    per_channel = (-1, *[1] * (len(row) - 1))
    for k, step in enumerate(steps):
        out = f"{name}_ready" if k == len(steps) - 1 else f"{name}_step_{k}"
        if step == "cast":
            made.append(helper.make_node("Cast", [last], [out], to=kind, name=f"{name}_cast"))
        elif step == "transpose":
            made.append(helper.make_node("Transpose", [last], [out], perm=[0, 2, 3, 1], name=f"{name}_transpose"))
        else:
            for part, numbers in (("mean", data.preprocess.mean), ("std", data.preprocess.std)):
                array = np.asarray(numbers, helper.tensor_dtype_to_np_dtype(kind)).reshape(per_channel)
                graph.initializer.append(numpy_helper.from_array(array, f"{name}_{part}"))
            made.append(helper.make_node("Sub", [last, f"{name}_mean"], [f"{name}_less"], name=f"{name}_sub"))
            made.append(helper.make_node("Div", [f"{name}_less", f"{name}_std"], [out], name=f"{name}_div"))
        last = out
    value.CopyFrom(helper.make_tensor_value_info(name, raw, [BATCH, *row]))
    old = list(graph.node)
    del graph.node[:]
    graph.node.extend([*made, *old])
