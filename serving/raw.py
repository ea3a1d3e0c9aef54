"""Rows as they lie in memory, for clients to whom JSON is too slow.

Content-Type: application/octet-stream      little-endian, row after row, the last axis fastest
X-Stillroom-Dtype: float32                  the elements; without it, the network's own type
X-Stillroom-Shape: 2,1,28,28                rows, and a row's own axes; without it, as many rows as there are bytes for
"""

from __future__ import annotations

from difflib import get_close_matches
from math import prod
from typing import Any

import numpy as np

from serving.ask import Headers, header
from serving.lossless import cast
from serving.refusal import Refused
from serving.shapes import Input, Preprocess

MEDIA_TYPE = "application/octet-stream"
DTYPE = "X-Stillroom-Dtype"
SHAPE = "X-Stillroom-Shape"
DTYPES = ("float32", "float64", "float16", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")
Array = np.ndarray[Any, Any]


def read(body: bytes, headers: Headers, preprocess: Preprocess, rows_max: int) -> dict[str, Array]:
    """The network's rows (N, *row); Refused names what does not fit: the type, the shape, the length or a value."""
    ((name, wanted),) = preprocess.inputs.items()
    dtype = header(headers, DTYPE) or wanted.dtype
    if dtype not in DTYPES:
        close = get_close_matches(dtype, DTYPES, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise Refused(f"{DTYPE}: {dtype[:80]!r}; allowed: {', '.join(DTYPES)}{hint}")
    found = np.dtype(dtype).newbyteorder("<")
    rows = _rows(body, headers, wanted, found.itemsize, preprocess.kind == "image" and preprocess.channels == 1)
    if not 1 <= rows <= rows_max:
        raise Refused(f"body: {rows} rows; allowed: 1 to {rows_max} a request")
    return {name: cast(np.frombuffer(body, found).reshape(rows, *wanted.shape), wanted.dtype)}


def _rows(body: bytes, headers: Headers, wanted: Input, itemsize: int, grey: bool) -> int:
    """How many rows the body holds, by the shape that is declared and by its length."""
    row_bytes = prod(wanted.shape) * itemsize
    rows, rest = divmod(len(body), row_bytes)
    declared = header(headers, SHAPE)
    if declared is not None:
        shape = tuple(int(axis) if axis.strip().isdecimal() else -1 for axis in declared[:200].split(","))
        forms = (wanted.shape, wanted.shape[1:]) if grey else (wanted.shape,)
        if shape[0] < 0 or shape[1:] not in forms:
            allowed = " or ".join(",".join(map(str, ("N", *form))) for form in forms)
            raise Refused(f"{SHAPE}: {declared[:80]!r}; allowed: {allowed}")
        if len(body) != shape[0] * row_bytes:
            raise Refused(f"body: {len(body)} bytes; allowed: {shape[0] * row_bytes} bytes, which {SHAPE} declares")
    elif rest:
        raise Refused(f"body: {len(body)} bytes; allowed: whole rows of {row_bytes} bytes, shape {wanted.shape}")
    return rows
