"""Post-training INT8: weights and activations on 8 bits, through ONNX Runtime.

Jacob et al., *Quantization and Training of Neural Networks for Integer-Arithmetic-Only Inference*, 2017
(arXiv:1712.05877). `static` fixes the activations' ranges beforehand on data.calibration, `dynamic` anew in each call.

Use when a network of convolutions (static) or of matrix products, such as a transformer (dynamic), must be about 4x
smaller and 2 to 3x faster without training. Changes an ONNX graph into another: weights become signed, symmetric, one
scale an output channel; activations unsigned, since S8S8 has no fast kernel on x86. Batch normalisation is folded
first. The logits stay float. Convolutions are never quantized dynamically: that is 5 to 10 times slower than float.
A dynamic range is that of the whole call, so a row's answer depends a little on the rows that are asked with it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from tasks.core.contract import Graph
from tasks.core.contract import Params as Base
from tasks.core.errors import TechniqueError

if TYPE_CHECKING:
    import onnx

    from tasks.core.contract import Data, Outcome

TAKES = "onnx"
GIVES = "onnx"

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
METHODS = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}


class Params(Base):
    """Which scheme, and how static ranges are found."""

    scheme: Literal["static", "dynamic"] = Field(
        "static", description="static for convolutions, dynamic for transformers"
    )
    calibration: Literal["minmax", "entropy", "percentile"] = Field(
        "minmax", description="static ranges: all values, the least information lost, or all but the outermost"
    )
    percentile: float = Field(99.99, gt=50, le=100, description="of values within the range, for `percentile`")
    reduce_range: bool = Field(False, description="7-bit weights, for processors without VNNI, whose sums overflow")


def apply(parent: Graph, data: Data, params: Params) -> Outcome:
    """A quantized copy of `parent`. Raises TechniqueError when nothing in it can be quantized."""
    from tasks.core import int8
    from tasks.core.contract import Outcome
    from tasks.core.graph import float_output, plain
    from tasks.core.quiet import quiet

    with tempfile.TemporaryDirectory() as name, quiet():
        folder = Path(name)
        folded = int8.fold(parent.proto, folder)
        check(folded, params.scheme)
        if params.scheme == "dynamic":
            result = int8.dynamic(folder, reduce_range=params.reduce_range)
        else:
            method, calibration = METHODS[params.calibration], data.split("calibration")
            found = int8.ranges(folder, calibration, method=method, percentile=params.percentile)
            result = int8.static(folder, found, reduce_range=params.reduce_range)
            float_output(result)
    quantized, left = verdict(folded, result)
    if not quantized:
        raise TechniqueError(f"quantize: ONNX Runtime left every node in float: {left}")
    return Outcome(Graph(plain(result)), {"nodes_quantized": [*quantized], "nodes_left_float": {**left}})


def check(folded: onnx.ModelProto, scheme: str) -> None:
    """TechniqueError when `folded` has no node that `scheme` is for, or a batch normalisation is left in it."""
    norms = [n.name for n in folded.graph.node if n.op_type == "BatchNormalization"]
    if norms:
        raise TechniqueError(f"quantize: batch normalisation could not be folded into a convolution: {norms}")
    constants = {t.name for t in folded.graph.initializer}
    ops = ("Gemm", "MatMul") if scheme == "dynamic" else WEIGHTED
    if not any(n.op_type in ops and n.input[1] in constants for n in folded.graph.node):
        other = "; try scheme: static" if scheme == "dynamic" else ""
        raise TechniqueError(f"quantize: {scheme} needs a node of {list(ops)} with constant weights{other}")


def verdict(folded: onnx.ModelProto, result: onnx.ModelProto) -> tuple[list[str], dict[str, str]]:
    """The layers with weights that now run in INT8, and why each of the others does not."""
    from tasks.core.graph import weight_name

    constants = {t.name for t in folded.graph.initializer}
    integer = {n.output[0] for n in result.graph.node if n.op_type == "DequantizeLinear"}
    now = {n.name: n for n in result.graph.node}
    quantized: list[str] = []
    left: dict[str, str] = {}
    for node in (n for n in folded.graph.node if n.op_type in WEIGHTED):
        name = weight_name(node, constants)
        after = now.get(node.name)
        # Dynamic replaces the node; static puts DequantizeLinear in front of both of its inputs.
        if after is None or set(after.input[:2]) <= integer:
            quantized.append(name)
        elif node.input[1] not in constants:
            left[name] = f"{node.op_type} of two activations"
        elif any(n.op_type == "MatMulInteger" for n in result.graph.node):
            left[name] = f"{node.op_type} is slower in dynamic INT8 than in float"
        else:
            left[name] = f"ONNX Runtime gave {node.op_type} no INT8 form here"
    return quantized, left
