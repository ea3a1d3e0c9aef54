"""The schemes of the technique `quantize` as one call each; tasks.core.quantizable says what they can take.

*Use when* several precisions are to be tried on one graph: `maker` finds static ranges once, for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

from tasks.core import blockwise, half, int8
from tasks.core.arrays import pick
from tasks.core.contract import Data, Split
from tasks.core.errors import TechniqueError
from tasks.core.graph import float_output

Maker = Callable[[frozenset[str]], onnx.ModelProto]
"""Makes the quantized graph, less the nodes of these names, which stay in float."""

METHODS = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}


def maker(
    folder: Path,
    folded: onnx.ModelProto,
    data: Data,
    *,
    scheme: str,
    calibration: str,
    percentile: float,
    calibration_rows: int | None,
    reduce_range: bool,
    weights: str,
    bits: int,
    block_size: int,
    symmetric: bool,
    arithmetic: str,
) -> Maker:
    """How to quantize `folded`, which is also folder/folded.onnx, by one scheme."""
    per_channel = weights == "per_channel"
    if scheme == "dynamic":
        return lambda kept: int8.dynamic(folder, reduce_range=reduce_range, per_channel=per_channel, exclude=kept)
    if scheme == "weight_only":
        return lambda kept: blockwise.weight_only(
            folded, bits=bits, block_size=block_size, symmetric=symmetric, arithmetic=arithmetic, exclude=kept
        )
    if scheme in ("fp16", "bf16"):
        return lambda kept: getattr(half, scheme)(folded, kept)
    rows = first_rows(data.split("calibration"), calibration_rows)
    found = int8.ranges(folder, rows, method=METHODS[calibration], percentile=percentile)

    def static(kept: frozenset[str]) -> onnx.ModelProto:
        proto = int8.static(folder, found, reduce_range=reduce_range, per_channel=per_channel, exclude=kept)
        float_output(proto)
        int8.stay_float(proto, kept)
        return proto

    return static


def first_rows(split: Split, rows: int | None) -> Split:
    """The first `rows` of the calibration split, or all; TechniqueError when there are fewer."""
    if rows is None:
        return split
    if rows > len(split):
        raise TechniqueError(f"quantize: calibration_rows is {rows}; data.calibration has {len(split)} rows")
    return pick(split, np.arange(rows))
