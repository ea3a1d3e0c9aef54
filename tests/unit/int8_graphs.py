"""Single integer layers as ONNX graphs with planted weights, and rows for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray[Any, Any]
F = np.float32


def graph(nodes: list[onnx.NodeProto], constants: dict[str, Any], x: Array, output: int) -> onnx.ModelProto:
    given = helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), ["n", *x.shape[1:]])
    made = helper.make_tensor_value_info("logits", output, None)
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(
        helper.make_graph(nodes, "g", [given], [made], tensors), opset_imports=opsets, ir_version=10
    )


def weights(draw: np.random.Generator, most: int, *shape: int) -> Array:
    return draw.integers(-most, most + 1, shape).astype(np.int8)


def conv(channels: int, filters: int, *, group: int = 1, stride: int = 1, kernel: int = 3, most: int = 127) -> Any:
    """(graph, rows (2, C, 9, 9)) of a QLinearConv."""
    draw = np.random.default_rng(channels * 100 + filters * 10 + group)
    x = draw.integers(0, 256, (2, channels, 9, 9)).astype(np.uint8)
    w = weights(draw, most, filters, channels // group, kernel, kernel)
    names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"]
    settings = {"group": group, "strides": [stride] * 2, "pads": [kernel // 2] * 4}
    node = helper.make_node("QLinearConv", names, ["logits"], name="conv", **settings)
    values = {"xs": F(1), "xz": np.uint8(100), "w": w, "ws": np.linspace(0.5, 1, filters).astype(F)}
    values |= {"wz": np.zeros(filters, np.int8), "ys": F(40 * w[0].size ** 0.5), "yz": np.uint8(128)}
    values["b"] = draw.integers(-500, 500, filters).astype(np.int32)
    return graph([node], values, x, TensorProto.UINT8), x


def conv_integer(signed: bool) -> Any:
    """(graph, rows) of a ConvInteger."""
    draw = np.random.default_rng(5)
    x, w = draw.integers(0, 256, (2, 4, 9, 9)).astype(np.uint8), weights(draw, 127, 8, 4, 3, 3)
    w = w if signed else (w.astype(int) + 128).astype(np.uint8)
    node = helper.make_node("ConvInteger", ["x", "w", "xz", "wz"], ["logits"], name="conv", pads=[1] * 4)
    return graph([node], {"xz": np.uint8(100), "w": w, "wz": np.array(0, w.dtype)}, x, TensorProto.INT32), x


def matmul(k: int, n: int, *, rows: int = 5, most: int = 127, op: str = "MatMulInteger") -> Any:
    """(graph, rows (M, K)) of a matrix product: MatMulInteger, QLinearMatMul or QGemm with a float result."""
    draw = np.random.default_rng(k * 10 + n)
    x, w = draw.integers(0, 256, (rows, k)).astype(np.uint8), weights(draw, most, k, n)
    values = {"w": w, "xz": np.uint8(90), "wz": np.int8(0), "xs": F(1), "ws": F(0.5), "yz": np.uint8(128)}
    values |= {"ys": F(30 * k**0.5), "c": draw.integers(-99, 99, n).astype(np.int32)}
    slots = {
        "MatMulInteger": ["x", "w", "xz", "wz"],
        "QLinearMatMul": ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"],
        "QGemm": ["x", "xs", "xz", "w", "ws", "wz", "c"],
    }[op]
    output = {"MatMulInteger": TensorProto.INT32, "QLinearMatMul": TensorProto.UINT8, "QGemm": TensorProto.FLOAT}[op]
    domain = "com.microsoft" if op == "QGemm" else ""
    node = helper.make_node(op, slots, ["logits"], name="product", domain=domain)
    return graph([node], {name: values[name] for name in slots if name != "x"}, x, output), x


def planted(proto: onnx.ModelProto, factor: int = 4) -> onnx.ModelProto:
    """The same network with finer steps for its weights, and those beyond 1/factor of the largest cut off.

    So does a careless calibration; more weights then stand near the end of their 8 bits.
    """
    tensors = {t.name: t for t in proto.graph.initializer}
    for name, tensor in tensors.items():
        if not name.endswith("_quantized") or tensor.data_type not in (TensorProto.INT8, TensorProto.INT32):
            continue
        wide = numpy_helper.to_array(tensor).astype(np.int64) * factor
        small = (
            np.clip(wide, -127, 127).astype(np.int8) if tensor.data_type == TensorProto.INT8 else wide.astype(np.int32)
        )
        scale = tensors.get(f"{name}_scale") or tensors[f"{name.removesuffix('_quantized')}_scale"]
        finer = numpy_helper.to_array(scale) / np.float32(factor)
        tensor.CopyFrom(numpy_helper.from_array(small, name))
        scale.CopyFrom(numpy_helper.from_array(finer, scale.name))
    return proto


LAYERS: dict[str, Any] = {
    "conv": lambda: conv(8, 8),
    "conv_odd": lambda: conv(3, 5),
    "conv_strided": lambda: conv(5, 16, stride=2),
    "conv_1x1": lambda: conv(12, 8, kernel=1),
    "conv_groups": lambda: conv(6, 6, group=2),
    "conv_depthwise": lambda: conv(16, 16, group=16),
    "conv_multiplied": lambda: conv(4, 8, group=4),
    "conv_integer_s8": lambda: conv_integer(True),
    "conv_integer_u8": lambda: conv_integer(False),
    "matmul": lambda: matmul(33, 19),
    "matmul_one_row": lambda: matmul(64, 24, rows=1),
    "qlinear_matmul": lambda: matmul(40, 17, op="QLinearMatMul"),
    "qgemm": lambda: matmul(64, 24, op="QGemm"),
}
