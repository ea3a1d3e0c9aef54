"""What an ONNX file costs: bytes, learned parameters and multiply-accumulates, float or quantized alike.

**Bytes**: the file and the external data files it names. **MACs**: see `graph_macs`.
**Parameters**: elements of the constants that the network learned, each constant once, in whatever type it is stored.
A constant reached through DequantizeLinear, Cast, Transpose and the like counts at its true size; weights packed for
MatMulNBits as the (K, N) that they stand for, without padding. Not counted: scales and zero points, shapes and indices,
running statistics of a norm (buffers, as in torch), single-element constants of an elementwise formula, and elementwise
constants met before the first learned one (input normalisation: mean, std).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasks.core.errors import ArtifactError
from tasks.core.graph_branches import laid_out
from tasks.core.graph_macs import Shape, constants, graph_macs

if TYPE_CHECKING:
    import onnx

# take integer weights directly
INTEGER = ("MatMulInteger", "ConvInteger", "QLinearConv", "QLinearMatMul", "QGemm", "MatMulNBits")
# a constant passes through these unchanged in meaning, in slot 0
CARRIERS = ("DequantizeLinear", "QuantizeLinear", "Cast", "Transpose", "Reshape", "Unsqueeze", "Squeeze", "Identity")
ELEMENTWISE = ("Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Where", "Clip")
NOTHING_LEARNED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Resize", "Pad", "Range", "Slice")
# op -> slots whose constants are learned; any other op: every constant that is not an integer
LEARNED = {
    **{op: (0, 1, 2) for op in ("Gemm", "Conv", "ConvTranspose", "PRelu")},
    **{op: (0, 1) for op in ("MatMul", "MatMulInteger", "ConvInteger")},
    "QLinearConv": (3, 8),
    "QLinearMatMul": (0, 3),
    "QGemm": (3, 6),
    "MatMulNBits": (1, 5),
    "BatchNormalization": (1, 2),
    "Gather": (0,),
    **{op: () for op in NOTHING_LEARNED},
}


class Cost(NamedTuple):
    """Size on disk in bytes, learned elements, and multiply-accumulates for one row."""

    size_bytes: int
    parameters: int
    macs: int


def graph_cost(path: Path, rows: Mapping[str, Shape] | None = None) -> Cost:
    """The cost of the model at `path`; `rows` gives the shape of one row of each input, where the file leaves it open.

    ArtifactError when a layer's shape cannot be told, or when it multiplies in a way that is not counted here.
    """
    import onnx
    from onnx.inliner import inline_local_functions

    model = onnx.load(str(path), load_external_data=False)
    if model.functions:
        model = inline_local_functions(model)
    size_bytes = path.stat().st_size + sum((path.parent / f).stat().st_size for f in external_files(model))
    try:
        return Cost(size_bytes, _parameters(laid_out(model)[0].graph), graph_macs(model, rows or {}))
    except ArtifactError as e:
        raise ArtifactError(f"{path}: {e}") from e


def external_files(model: onnx.ModelProto) -> list[str]:
    """Names of the files beside the model that hold some of its weights; sorted, often empty."""
    entries = (e for t in model.graph.initializer for e in t.external_data if e.key == "location")
    return sorted({e.value for e in entries})


def _parameters(graph: onnx.GraphProto) -> int:
    known = {name: (math.prod(shape), integer) for name, shape, integer in constants(graph)}
    known |= {name: (size, True) for name, size in _packed(graph)}
    root = {name: name for name in known}  # tensor -> the constant it stands for
    is_float = {name: not integer for name, (_, integer) in known.items()}
    counted: set[str] = set()
    learned: set[str] = set()  # activations that a learned constant has touched
    for node in graph.node:
        if node.op_type in CARRIERS and node.input[0] in root:
            root[node.output[0]] = root[node.input[0]]
            is_float[node.output[0]] = node.op_type == "DequantizeLinear" or is_float[node.input[0]]
            continue
        touched = any(name in learned for name in node.input)
        for slot, name in enumerate(node.input):
            if name not in root:
                continue
            if node.op_type in ELEMENTWISE:
                counts = touched and is_float[name] and known[root[name]][0] > 1
            else:
                kind_fits = is_float[name] or node.op_type in INTEGER
                counts = kind_fits and (node.op_type not in LEARNED or slot in LEARNED[node.op_type])
            if counts:
                counted.add(root[name])
                touched = True
        if touched and node.op_type not in ("Shape", "Size"):
            # scale and zero point of a dynamic quantization are measured, not learned
            learned.update(node.output[:1] if node.op_type == "DynamicQuantizeLinear" else node.output)
    return sum(known[name][0] for name in counted)


def _packed(graph: onnx.GraphProto) -> Iterator[tuple[str, int]]:
    """(name, elements) of every constant whose elements are packed several to a byte, in padded blocks."""
    for node in graph.node:
        if node.op_type == "MatMulNBits":
            sizes = {a.name: a.i for a in node.attribute}
            yield node.input[1], sizes["K"] * sizes["N"]
