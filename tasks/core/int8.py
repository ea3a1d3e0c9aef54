"""ONNX Runtime's post-training quantizer, made harmless to its input and bounded in memory.

It works through files, and moves the weights out of a ModelProto that it is given; so every call goes through a folder
that the caller throws away. It logs warnings that do not apply: call it within `quiet`.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime import quantization as ort
from onnxruntime.quantization.calibrate import TensorsData, create_calibrator, save_tensors_data
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry
from onnxruntime.quantization.shape_inference import quant_pre_process

from tasks.core.arrays import batches
from tasks.core.contract import Split
from tasks.core.rehearsal import lap

Feed = dict[str, np.ndarray[Any, Any]]
STATIC_OPS = sorted({*QDQRegistry, *QLinearOpsRegistry})
"""What ONNX Runtime has an INT8 form for."""
BATCH = 64
ENTROPY = {"num_bins": 512, "num_quantized_bins": 128}
DYNAMIC_OPS = ("Gemm", "MatMul")
TAKEN_OVER = ("Conv", "ConvTranspose", "Gemm")
"""What ONNX Runtime quantizes by itself, in the midst of quantized layers."""


def fold(proto: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """`proto` with batch normalisation and constants folded; it is also left in folder/folded.onnx."""
    named = onnx.ModelProto()
    named.CopyFrom(proto)
    for index, node in enumerate(named.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"  # by which nodes are left out
    onnx.save(named, str(folder / "parent.onnx"))
    # Symbolic shape inference fails on transformers and on adaptive pooling; ONNX's own, which stays on, is enough.
    quant_pre_process(str(folder / "parent.onnx"), str(folder / "folded.onnx"), skip_symbolic_shape=True)
    return onnx.load(str(folder / "folded.onnx"))


class OneBatch(ort.CalibrationDataReader):  # type: ignore[misc]
    """Hands a single batch to ONNX Runtime."""

    def __init__(self, feed: Feed) -> None:
        self._feeds = [feed]

    def get_next(self) -> Feed | None:
        """The batch, then None."""
        return self._feeds.pop() if self._feeds else None


def ranges(folder: Path, split: Split, *, method: str, percentile: float) -> TensorsData:
    """The range of every activation of folder/folded.onnx over `split`; `method` is a name of CalibrationMethod.

    Batch by batch: the histogram methods keep all activations of one call in memory, and fail on batches of two sizes.
    """
    calibrator = create_calibrator(
        folder / "folded.onnx",
        STATIC_OPS,
        augmented_model_path=str(folder / "watched.onnx"),
        calibrate_method=ort.CalibrationMethod[method],
        # By default Entropy has as many bins as levels: one candidate, the full range, which is MinMax again.
        extra_options={"Entropy": ENTROPY, "Percentile": {"percentile": percentile}}.get(method, {}),
    )
    with lap("calibration", len(split)):
        for inputs, _ in batches(split, BATCH):
            calibrator.collect_data(OneBatch(inputs))
    return calibrator.compute_data()


def static(
    folder: Path, found: TensorsData, *, reduce_range: bool, per_channel: bool = True, exclude: Collection[str] = ()
) -> onnx.ModelProto:
    """folder/folded.onnx with QuantizeLinear and DequantizeLinear around every node that has an INT8 form.

    `exclude`: the names of nodes to leave as they are.
    """
    save_tensors_data(found, folder / "ranges.json")
    ort.quantize_static(
        str(folder / "folded.onnx"),
        str(folder / "int8.onnx"),
        calibration_cache_path=folder / "ranges.json",
        quant_format=ort.QuantFormat.QDQ,
        op_types_to_quantize=STATIC_OPS,
        nodes_to_exclude=sorted(exclude),
        per_channel=per_channel,
        reduce_range=reduce_range,
        activation_type=ort.QuantType.QUInt8,
        weight_type=ort.QuantType.QInt8,
        calibrate_method=found.calibration_method,
        extra_options={"WeightSymmetric": True},
    )
    return onnx.load(str(folder / "int8.onnx"))


def stay_float(proto: onnx.ModelProto, kept: Collection[str]) -> None:
    """Put a Max of one value, which does nothing, between DequantizeLinear and each layer that is kept, in place.

    ONNX Runtime quantizes the float weights of a Conv or Gemm by itself, a scale a tensor, when it stands between
    DequantizeLinear and QuantizeLinear: a layer left in float in the file would run in INT8, and worse than before.
    """
    integer = {n.output[0] for n in proto.graph.node if n.op_type == "DequantizeLinear"}
    nodes = []
    for node in proto.graph.node:
        if node.op_type in TAKEN_OVER and node.name in kept and node.input[0] in integer:
            apart = f"{node.input[0]}_{node.name}_float"
            nodes.append(onnx.helper.make_node("Max", [node.input[0]], [apart], name=f"{node.name}_float"))
            node.input[0] = apart
        nodes.append(node)
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)


def dynamic(
    folder: Path, *, reduce_range: bool, per_channel: bool = True, exclude: Collection[str] = ()
) -> onnx.ModelProto:
    """folder/folded.onnx with MatMulInteger for every MatMul and Gemm with constant weights.

    ONNX Runtime splits a Gemm into one and an addition. `exclude`: the names of nodes to leave as they are.
    """
    ort.quantize_dynamic(
        str(folder / "folded.onnx"),
        str(folder / "int8.onnx"),
        op_types_to_quantize=list(DYNAMIC_OPS),
        nodes_to_exclude=sorted({*exclude, *(f"{name}_MatMul" for name in exclude)}),  # the first half of a Gemm
        per_channel=per_channel,
        reduce_range=reduce_range,
        weight_type=ort.QuantType.QInt8,
    )
    return onnx.load(str(folder / "int8.onnx"))
