"""What of a graph a scheme of the technique `quantize` can take, what it took, and why the rest stays in float."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase

import onnx

from tasks.core import half, tables
from tasks.core.contract import Facts
from tasks.core.errors import TechniqueError, nearest
from tasks.core.graph import has_branches, weight_name

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
PRODUCTS = ("Gemm", "MatMul")
OPS = {"static": WEIGHTED, "dynamic": PRODUCTS, "weight_only": PRODUCTS, "fp16": WEIGHTED, "bf16": WEIGHTED}
QUANTIZED = ("DequantizeLinear", "MatMulNBits", "MatMulInteger")
"""What stands in a graph that is on fewer bits: one of static INT8, of weight_only, of dynamic INT8."""
MUCH = 0.5
"""The share of the weights in float above which a row of fewer bits warns."""


def check(folded: onnx.ModelProto, scheme: str) -> None:
    """TechniqueError when `folded` has branches, no node that `scheme` is for, or a batch normalisation left in it."""
    if has_branches(folded):
        raise TechniqueError(
            "quantize: the graph has branches (an If), as act and early_exit make them, which ONNX Runtime's quantizer "
            "does not enter; early_exit quantizes its parts as it makes them, with segments: int8; what act makes "
            "stays in float: quantize the row that it comes from, beside it"
        )
    norms = [n.name for n in folded.graph.node if n.op_type == "BatchNormalization"]
    if norms and scheme in ("static", "dynamic"):
        raise TechniqueError(f"quantize: batch normalisation could not be folded into a convolution: {norms}")
    constants = {t.name for t in folded.graph.initializer}
    ops = OPS[scheme]
    if not any(n.op_type in ops and n.input[1] in constants for n in folded.graph.node):
        if any(n.op_type in QUANTIZED for n in folded.graph.node):
            raise TechniqueError(
                f"quantize: the graph is quantized already, and has no node left for {scheme}; quantize the row that "
                "it comes from, beside it"
            )
        other = "; try scheme: static" if ops == PRODUCTS else ""
        raise TechniqueError(f"quantize: {scheme} needs a node of {list(ops)} with constant weights{other}")


def layers(folded: onnx.ModelProto) -> dict[str, str]:
    """Node name -> layer name of every node with constant weights."""
    constants = {t.name for t in folded.graph.initializer}
    weighted = (n for n in folded.graph.node if n.op_type in WEIGHTED and n.input[1] in constants)
    return {n.name: weight_name(n, constants) for n in weighted}


def excluded(folded: onnx.ModelProto, patterns: Sequence[str]) -> dict[str, str]:
    """Node name -> why it stays in float; TechniqueError for a pattern that matches neither a layer nor a node."""
    constants = {t.name for t in folded.graph.initializer}
    embeddings = (n for n in folded.graph.node if n.name in tables.tables(folded))
    known = {**layers(folded), **{n.name: weight_name(n, constants) for n in embeddings}}
    found: dict[str, str] = {}
    for pattern in patterns:
        names = [n.name for n in folded.graph.node]
        hits = [n for n in names if fnmatchcase(n, pattern) or fnmatchcase(known.get(n, n), pattern)]
        if not hits:
            there = list(known.values())
            raise TechniqueError(
                f"quantize: exclude {pattern!r} matches no layer or node; "
                f"the layers are {', '.join(there)}{nearest(pattern, [*there, *names])}"
            )
        found |= {name: f"excluded by {pattern!r}" for name in hits if name not in found}
    return found


def verdict(
    folded: onnx.ModelProto, result: onnx.ModelProto, kept: Mapping[str, str], scheme: str
) -> tuple[list[str], dict[str, str]]:
    """The layers with weights that are quantized now, and why each of the others, and of the nodes kept, is not."""
    names = {t.name for t in folded.graph.initializer}
    integer = {n.output[0] for n in result.graph.node if n.op_type == "DequantizeLinear"}
    halves = half.on_16_bits(result)
    now = {n.name: n for n in result.graph.node}
    quantized: list[str] = []
    left: dict[str, str] = {}
    looked_up = tables.tables(folded) if scheme in tables.SCHEMES else {}
    for node in (n for n in folded.graph.node if n.op_type in WEIGHTED or n.name in kept or n.name in looked_up):
        name = weight_name(node, names)
        after = now.get(node.name)
        if node.name in kept:
            left[name] = kept[node.name]
        # Dynamic and weight_only replace the node; static puts DequantizeLinear in front of both of its inputs.
        elif after is None or set(after.input[:2]) <= integer or after.input[1] in halves:
            quantized.append(name)
        else:
            left[name] = _why_not(node, names, scheme)
    return quantized, left


def _why_not(node: onnx.NodeProto, constants: Collection[str], scheme: str) -> str:
    if node.op_type == "Gather":
        return "the shape of its indices cannot be told"
    if node.input[1] not in constants:
        return f"{node.op_type} of two activations"
    if scheme == "dynamic":
        return f"{node.op_type} is slower in dynamic INT8 than in float"
    if scheme == "weight_only":
        return f"ONNX Runtime has no weight-only form of {node.op_type}"
    return f"ONNX Runtime gave {node.op_type} no {'INT8' if scheme == 'static' else '16-bit'} form here"


def float_facts(folded: onnx.ModelProto, result: onnx.ModelProto) -> Facts:
    """The share of `folded`'s weights, its float tensors of two or more axes, that `result` still holds in float.

    Above MUCH of them, also a warning that a person should hear.
    """
    before = {t.name: math.prod(t.dims) for t in _floats(folded)}
    after = {t.name for t in _floats(result)}
    share = sum(size for name, size in before.items() if name in after) / max(1, sum(before.values()))
    warning = f"{share:.0%} of the weights stay in float; nodes_left_float says why"
    return {"weights_left_float": round(share, 4), **({"warnings": [warning]} if share > MUCH else {})}


def _floats(proto: onnx.ModelProto) -> list[onnx.TensorProto]:
    return [t for t in proto.graph.initializer if t.data_type == onnx.TensorProto.FLOAT and len(t.dims) > 1]
