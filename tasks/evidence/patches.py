"""What a convolution looks at, as rows: it becomes a product of matrices, in ONNX Runtime's order of summing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx

Array = np.ndarray[Any, Any]


class NotJudgedError(Exception):
    """Why a graph cannot be emulated."""


def patches(node: onnx.NodeProto, row_CS: Array, kernel: tuple[int, ...], fill: int) -> Array:
    """What each output of a convolution looks at, (*out, *kernel, C), of one row (C, *space); padded with `fill`."""
    settings, axes = attributes(node), len(kernel)
    if settings.get("channels_last") or settings.get("auto_pad", b"NOTSET") not in (b"NOTSET", b""):
        raise NotJudgedError(f"{node.op_type} {node.name!r}: channels_last or auto_pad")
    pads = settings.get("pads", [0] * 2 * axes)
    strides, dilations = (settings.get(key, [1] * axes) for key in ("strides", "dilations"))
    around = [(0, 0), *((pads[i], pads[i + axes]) for i in range(axes))]
    padded = np.pad(row_CS, around, constant_values=fill)
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
    seen = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=tuple(range(1, axes + 1)))
    steps = (slice(None), *(slice(None, None, s) for s in strides), *(slice(None, None, d) for d in dilations))
    return np.moveaxis(seen[steps], 0, -1)


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's settings by name."""
    from onnx.helper import get_attribute_value

    return {a.name: get_attribute_value(a) for a in node.attribute}
