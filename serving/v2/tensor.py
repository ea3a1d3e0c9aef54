"""One tensor of the Open Inference Protocol, in JSON or as bytes behind it."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from math import prod
from typing import Any

import numpy as np

from serving.lossless import cast
from serving.refusal import Refused, kind_of

Array = np.ndarray[Any, Any]
Json = Mapping[str, Any]
DTYPES = {
    "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64", "INT8": "int8", "INT16": "int16",
    "INT32": "int32", "INT64": "int64", "FP16": "float16", "FP32": "float32", "FP64": "float64",
}  # fmt: skip
NAMES = {dtype: name for name, dtype in DTYPES.items()}
BYTES = "BYTES"  # texts


def shape_of(tensor: Json, at: str) -> tuple[int, ...]:
    """The declared shape; Refused when it is none."""
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not all(type(axis) is int and axis >= 0 for axis in shape):
        raise Refused(f"{at}.shape: is {str(shape)[:80]}; allowed: a list of whole numbers from 0 on")
    return tuple(shape)


def datatype_of(tensor: Json, at: str, allowed: Sequence[str]) -> str:
    """The declared type, one of `allowed`."""
    found = tensor.get("datatype")
    if found not in allowed:
        close = get_close_matches(str(found), allowed, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise Refused(f"{at}.datatype: {str(found)[:80]!r}; allowed: {', '.join(allowed)}{hint}")
    return str(found)


def numbers(tensor: Json, at: str, binary: bytes | None) -> Array:
    """The tensor as it is declared; Refused when its data do not fit its shape and type."""
    shape, dtype = shape_of(tensor, at), np.dtype(DTYPES[datatype_of(tensor, at, tuple(DTYPES))])
    if binary is not None:
        if len(binary) != (wanted := prod(shape) * dtype.itemsize):
            raise Refused(f"{at}: {len(binary)} bytes; allowed: {wanted}, for shape {list(shape)} of {dtype}")
        return np.frombuffer(binary, dtype.newbyteorder("<")).reshape(shape)
    values = _array(_listed(tensor, at), at)
    if values.size != prod(shape) or (values.ndim > 1 and values.shape != shape):
        raise Refused(f"{at}.data: shape {list(values.shape)}; allowed: {list(shape)}, or flat")
    return cast(values.reshape(shape), dtype.name)


def texts(tensor: Json, at: str, binary: bytes | None) -> list[str]:
    """The texts of a BYTES tensor of shape [N] or [N, 1]."""
    shape = shape_of(tensor, at)
    if len(shape) not in (1, 2) or shape[1:] not in ((), (1,)):
        raise Refused(f"{at}.shape: {list(shape)}; allowed: [N] or [N, 1]")
    if binary is not None:
        found = _unpacked(binary, at)
    else:
        found = [one[0] if isinstance(one, list) and len(one) == 1 else one for one in _listed(tensor, at)]
    if len(found) != shape[0]:
        raise Refused(f"{at}: {len(found)} texts; allowed: {shape[0]}, as its shape says")
    return found


def packed(texts: Sequence[str]) -> bytes:
    """Texts as the extension has them: each in UTF-8, its length in four bytes before it."""
    encoded = [text.encode() for text in texts]
    return b"".join(struct.pack("<I", len(one)) + one for one in encoded)


def _unpacked(binary: bytes, at: str) -> list[str]:
    found: list[str] = []
    place = 0
    while place < len(binary):
        if place + 4 > len(binary):
            raise Refused(f"{at}: byte {place}: cut off; allowed: four bytes of length before each text")
        (length,) = struct.unpack_from("<I", binary, place)
        place += 4
        if place + length > len(binary):
            raise Refused(f"{at}: byte {place}: a text of {length} bytes; {len(binary) - place} are left")
        try:
            found.append(binary[place : place + length].decode())
        except UnicodeDecodeError:
            raise Refused(f"{at}: text {len(found)}: not UTF-8") from None
        place += length
    return found


def _listed(tensor: Json, at: str) -> list[Any]:
    data = tensor.get("data")
    if not isinstance(data, list):
        raise Refused(f"{at}.data: is {kind_of(data)}; allowed: a list, or bytes with `binary_data_size`")
    return data


def _array(data: list[Any], at: str) -> Array:
    try:
        values = np.asarray(data)
    except (ValueError, OverflowError):
        raise Refused(f"{at}.data: lists of unequal length, or too deep") from None
    if values.size and values.dtype.kind not in "iuf":
        raise Refused(f"{at}.data: holds something that is not a number; allowed: numbers")
    return values
