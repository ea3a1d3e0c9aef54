"""In which arithmetic a graph multiplies: its MACs for one row in FP32 and in INT8, as ONNX Runtime computes them.

A layer multiplies integers when both its factors come from a DequantizeLinear, which ONNX Runtime fuses with it, or
when its operator takes integers. Weights alone on 8 or 4 bits are multiplied in FP32, and FP16 is too on a processor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tasks.core.graph_macs import FACTORS, Shape, node_macs
from tasks.evidence.integer_layers import FACTORS as INTEGER
from tasks.evidence.patches import attributes

if TYPE_CHECKING:
    import onnx

CARRIERS = ("Transpose", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Flatten")


def macs_by_arithmetic(model: onnx.ModelProto, rows: Mapping[str, Shape]) -> dict[str, int]:
    """{"fp32": MACs, "int8": MACs} for one row, without those that are 0; for a graph without branches."""
    import onnx

    named = onnx.ModelProto()
    named.CopyFrom(model)
    for k, node in enumerate(named.graph.node):
        node.name = f"{k}"  # names are optional in ONNX, and what MACs are told by
    made_by = {name: node for node in named.graph.node for name in node.output}
    nodes = {node.name: node for node in named.graph.node}
    counted: Counter[str] = Counter()
    for name, macs in node_macs(named, rows).items():
        counted["int8" if _integer(nodes[name], made_by) else "fp32"] += macs
    return {kind: macs for kind, macs in counted.items() if macs}


def _integer(node: onnx.NodeProto, made_by: Mapping[str, onnx.NodeProto]) -> bool:
    if node.op_type == "MatMulNBits":
        return bool(attributes(node).get("accuracy_level", 0) == 4)
    if node.op_type in INTEGER:
        return True
    return all(_dequantized(node.input[slot], made_by) for slot in FACTORS[node.op_type])


def _dequantized(name: str, made_by: Mapping[str, onnx.NodeProto]) -> bool:
    while name in made_by and made_by[name].op_type in CARRIERS:
        name = made_by[name].input[0]
    return name in made_by and made_by[name].op_type == "DequantizeLinear"
