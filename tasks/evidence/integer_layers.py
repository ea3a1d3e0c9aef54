"""The layers that ONNX Runtime computes on 8-bit integers, in numpy, with sums that are exact or that saturate.

The order of the positions within a sum decides which are paired, so it is that of ONNX Runtime: a convolution sums
over the kernel's positions and, within each, over channels. A convolution of one channel a group has kernels of its own
that add in 32 bits, and ConvInteger multiplies its weights from the left, signed by unsigned, which is exact too.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.evidence.patches import NotJudgedError, attributes, patches
from tasks.evidence.saturation import product

if TYPE_CHECKING:
    import onnx

Array = np.ndarray[Any, Any]
Inputs = list[Array | None]

# op -> the slots of its integer factors, and of their zero points
FACTORS = {
    "QLinearConv": (0, 3, 2, 5),
    "QGemm": (0, 3, 2, 5),
    "QLinearMatMul": (0, 3, 2, 5),
    "MatMulInteger": (0, 1, 2, 3),
    "MatMulIntegerToFloat": (0, 1, 4, 5),
    "DynamicQuantizeMatMul": (0, 1, None, 3),  # it finds the left one by itself
    "ConvInteger": (0, 1, 2, 3),
}


@dataclass
class Arithmetic:
    """How sums are computed, and how many of each layer's were clipped."""

    saturating: bool
    clipped: Counter[str] = field(default_factory=Counter)

    def run(self, node: onnx.NodeProto, given: Inputs) -> Array:
        """The output of one node of FACTORS; `given` are its inputs, None for one that is left out."""
        inputs = given + [None] * (9 - len(given))
        if node.op_type in ("QLinearConv", "ConvInteger"):
            sums = self._convolve(node, inputs)
            return sums.astype(np.int32) if node.op_type == "ConvInteger" else _requantized(sums, inputs, inputs[8], 1)
        sums = self._multiply(node, inputs)
        if node.op_type == "MatMulInteger":
            return sums.astype(np.int32)
        if node.op_type == "QLinearMatMul":
            return _requantized(sums, inputs, None, -1)
        if node.op_type == "QGemm":
            return _gemm(node, sums, inputs)
        left, right, bias = (inputs[2], inputs[3], inputs[6])
        return _plus(sums.astype(np.float32) * (_there(left) * _there(right).reshape(-1)), bias)

    def _sum(self, node: onnx.NodeProto, left: Array, right: Array, zeros: tuple[Any, Any], exact: bool) -> Array:
        found = product(left, right, zeros, self.saturating and not exact)
        self.clipped[node.name] += found.clipped
        return found.values

    def _multiply(self, node: onnx.NodeProto, inputs: Inputs) -> Array:
        a, b, a_zero, b_zero = FACTORS[node.op_type]
        left, right = _there(inputs[a]), _there(inputs[b])
        settings = attributes(node)
        left = left.T if settings.get("transA") else left
        right = right.T if settings.get("transB") else right
        zeros = (_zero(inputs, a_zero), _zero(inputs, b_zero))
        if right.ndim == 2:
            rows = self._sum(node, left.reshape(-1, left.shape[-1]), right, zeros, False)
            return rows.reshape(*left.shape[:-1], right.shape[1])
        if np.size(zeros[0]) > 1 or np.size(zeros[1]) > 1:
            raise NotJudgedError(f"{node.op_type} {node.name!r}: a stack of matrices with several zero points")
        outer = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        lefts = np.broadcast_to(left, (*outer, *left.shape[-2:])).reshape(-1, *left.shape[-2:])
        rights = np.broadcast_to(right, (*outer, *right.shape[-2:])).reshape(-1, *right.shape[-2:])
        stack = [self._sum(node, x, y, zeros, False) for x, y in zip(lefts, rights, strict=True)]
        return np.stack(stack).reshape(*outer, left.shape[-2], right.shape[-1])

    def _convolve(self, node: onnx.NodeProto, inputs: Inputs) -> Array:
        x_slot, w_slot, x_zero, w_zero = FACTORS[node.op_type]
        values, weight = _there(inputs[x_slot]), _there(inputs[w_slot])
        zeros = (int(np.max(_zero(inputs, x_zero))), _zero(inputs, w_zero))
        groups = attributes(node).get("group", 1)
        filters = len(weight) // groups
        exact = node.op_type == "ConvInteger"
        kernel_KM = np.moveaxis(weight, 1, -1).reshape(len(weight), -1).T
        rows = []
        for row in values:
            columns = patches(node, row, weight.shape[2:], zeros[0])  # (*out, *kernel, C)
            shape, positions = columns.shape[: row.ndim - 1], len(kernel_KM) // weight.shape[1]
            if weight.shape[1] == filters == 1:  # a channel a group: one sum of products, not many matrices
                wide_MKC = columns.reshape(-1, positions, len(weight)).astype(np.float64) - zeros[0]
                sums_MC = np.einsum("mkc,kc->mc", wide_MKC, kernel_KM.astype(np.float64) - zeros[1])
                rows.append(sums_MC.T.reshape(len(weight), *shape))
                continue
            parts = []
            for g in range(groups):
                mine = slice(g * filters, (g + 1) * filters)
                own = columns[..., g * weight.shape[1] : (g + 1) * weight.shape[1]]
                zero = zeros[1][mine] if np.size(zeros[1]) > 1 else zeros[1]
                flat = own.reshape(int(np.prod(shape)), -1)
                parts.append(self._sum(node, flat, kernel_KM[:, mine], (zeros[0], zero), exact))
            rows.append(np.concatenate(parts, axis=1).T.reshape(len(weight), *shape))
        return np.stack(rows)


def _gemm(node: onnx.NodeProto, sums: Array, inputs: Inputs) -> Array:
    alpha = np.float32(attributes(node).get("alpha", 1.0))
    whole = _plus(sums, inputs[6])
    scale = alpha * _there(inputs[1]) * _there(inputs[4]).reshape(-1)
    if inputs[7] is None:
        return np.asarray(whole.astype(np.float32) * scale)
    return _rounded(whole, scale / inputs[7], _there(inputs[8]))


def _requantized(sums: Array, inputs: Inputs, bias: Array | None, axis: int) -> Array:
    """Sums on the output's 8 bits; inputs 1 and 4 scale the factors, 6 and 7 are the output's scale and zero point."""
    scale = _there(inputs[1]) * _there(inputs[4]).reshape(-1) / _there(inputs[6])
    shape = [1] * sums.ndim
    shape[axis] = -1
    whole = sums if bias is None else sums + bias.reshape(shape)
    return _rounded(whole, scale.reshape(shape), _there(inputs[7]))


def _rounded(whole: Array, scale: Array, zero: Array) -> Array:
    limits = np.iinfo(zero.dtype)
    steps = np.rint(whole.astype(np.float32) * scale.astype(np.float32)) + zero.astype(np.float32)
    return np.asarray(np.clip(steps, limits.min, limits.max).astype(zero.dtype))


def _plus(values: Array, bias: Array | None) -> Array:
    return values if bias is None else values + bias


def _zero(inputs: Inputs, slot: int | None) -> Any:
    found = None if slot is None else inputs[slot]
    return (
        0 if found is None else found.astype(np.float64).reshape(-1) if found.size > 1 else float(found.reshape(-1)[0])
    )


def _there(value: Array | None) -> Array:
    assert value is not None, "the operator's definition asks for this input"
    return value
