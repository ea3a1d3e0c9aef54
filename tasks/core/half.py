"""FP16 and BF16 forms of an ONNX graph; inputs and outputs keep their types.

FP16 (5 bits of exponent, at most 65504) takes weights and activations; BF16 (8 bits, float32's range) takes weights
alone, cast to float32 when the file is loaded: ONNX has no BF16 convolution before opset 22, and ONNX Runtime's CPU
provider no BF16 kernel of Conv, Gemm or MatMul.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.capi import onnxruntime_pybind11_state as state
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.transformers.float16 import convert_float_to_float16

from tasks.core.errors import TechniqueError

WEIGHT_SLOT = {"Conv": 1, "ConvTranspose": 1, "Gemm": 1, "MatMul": 1, "Gather": 0}
PRODUCTS = ("Conv", "FusedConv", "ConvTranspose", "Gemm", "FusedGemm", "MatMul", "FusedMatMul")
FP16_MAX = 65504.0
REFUSALS = (state.NotImplemented, state.InvalidGraph, state.Fail)


def fp16(folded: onnx.ModelProto, exclude: Collection[str]) -> onnx.ModelProto:
    """A copy in FP16, with casts around the excluded nodes and at inputs and outputs."""
    proto = onnx.ModelProto()
    proto.CopyFrom(folded)
    # The converter puts its casts last in the file, which ONNX's checker refuses.
    model = ONNXModel(convert_float_to_float16(proto, keep_io_types=True, node_block_list=sorted(exclude)))
    model.topological_sort()
    result: onnx.ModelProto = model.model
    return result


def bf16(folded: onnx.ModelProto, exclude: Collection[str]) -> onnx.ModelProto:
    """A copy whose weights are stored in BF16, rounded to nearest even, each with a Cast to float32 in front."""
    proto = onnx.ModelProto()
    proto.CopyFrom(folded)
    graph = proto.graph
    readers = [n for n in graph.node if n.op_type in WEIGHT_SLOT]
    names = {n.input[WEIGHT_SLOT[n.op_type]] for n in readers if n.name not in exclude}
    names -= {name for n in graph.node if n.name in exclude for name in n.input}
    casts = []
    kind = helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16)
    for tensor in graph.initializer:
        if tensor.name in names and tensor.data_type == TensorProto.FLOAT:
            name, stored = tensor.name, f"{tensor.name}_bf16"
            values = numpy_helper.to_array(tensor).astype(kind)
            raw = values.tobytes()
            tensor.CopyFrom(helper.make_tensor(stored, TensorProto.BFLOAT16, values.shape, raw, raw=True))
            casts.append(helper.make_node("Cast", [stored], [name], name=f"{stored}_cast", to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return proto


def on_16_bits(proto: onnx.ModelProto) -> set[str]:
    """The tensors that hold constants stored on 16 bits, themselves or through a Cast."""
    halves = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
    stored = {t.name for t in proto.graph.initializer if t.data_type in halves}
    return stored | {n.output[0] for n in proto.graph.node if n.op_type == "Cast" and n.input[0] in stored}


def clamped(folded: onnx.ModelProto) -> int:
    """How many constants are beyond FP16's range, where the converter puts them on its edge."""
    floats = (t for t in folded.graph.initializer if t.data_type == TensorProto.FLOAT)
    return sum(int((np.abs(numpy_helper.to_array(t)) > FP16_MAX).sum()) for t in floats)


def computed_in(proto: onnx.ModelProto) -> dict[str, int]:
    """Element type -> how many layers ONNX Runtime's CPU provider computes in it, by the graph it makes of `proto`.

    Raises TechniqueError when it has no kernels for the graph.
    """
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
        try:
            ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        except REFUSALS as e:
            raise TechniqueError(f"quantize: ONNX Runtime's CPU provider cannot run this form: {e}") from e
        optimized = onnx.load(options.optimized_model_filepath)
    types = {t.name: TensorProto.DataType.Name(t.data_type).lower() for t in optimized.graph.initializer}
    found: dict[str, int] = {}
    for node in optimized.graph.node:
        if node.op_type in PRODUCTS and node.input[1] in types:
            name = {"float": "float32"}.get(types[node.input[1]], types[node.input[1]])
            found[name] = found.get(name, 0) + 1
    return found
