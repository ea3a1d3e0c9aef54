"""The `.srz` file: a network's tensors, those of few distinct values as entropy-coded places in a codebook.

Han et al., *Deep Compression*, 2015 (arXiv:1510.00149), section 4. Every tensor comes back bit for bit, whatever its
element type; nothing is pickled.

file    SRZ2 | length of the header, 4 bytes | header | tensors, one after the other | SHA-256 of all before
header  {"coder": name, "tensors": [[name, dtype, shape, K, bytes], ...]}; K = 0: the tensor as it is
tensor  its K distinct values, rising as whole numbers | the coder's table, one entry a value | the coded places
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from tasks.core import ans, huffman
from tasks.core.errors import ArtifactError

Array = np.ndarray[Any, Any]
Coder = Literal["ans", "huffman"]
CODERS: dict[str, Any] = {"ans": ans, "huffman": huffman}
MAGIC = b"SRZ2"
DIGEST_BYTES = 32
MOST = 4096
"""The most distinct values with which a tensor is coded; one of more stays as it is."""


class Encoded(NamedTuple):
    """The file, and what its bytes are. `entropy_bytes`: the order-0 entropy of the places, tensor by tensor."""

    data: bytes
    coded_values: int
    entropy_bytes: float
    index_bytes: int
    codebook_bytes: int
    plain_bytes: int


class Part(NamedTuple):
    """One coded tensor: its codebook, and the coder's table and stream."""

    codebook: bytes
    places: bytes
    symbols: int
    entropy_bytes: float


def check(coder: Coder) -> None:
    """TechniqueError when what `coder` needs is not installed: better said before an hour of training than after."""
    if coder == "ans":
        ans.library()


def encode(arrays: Mapping[str, Array], coder: Coder = "ans") -> Encoded:
    """`arrays` as one file, in the order of their names; the same arrays give the same bytes."""
    tensors: list[list[Any]] = []
    blobs: list[bytes] = []
    parts: dict[str, Part] = {}
    for name in sorted(arrays):
        values = np.asarray(arrays[name])
        values = values.astype(values.dtype.newbyteorder("<"), copy=False)
        part, blob = coded(values, coder), values.tobytes()
        if part is not None and len(part.codebook) + len(part.places) < len(blob):
            parts[name], blob = part, part.codebook + part.places
        tensors.append(
            [name, values.dtype.str, list(values.shape), parts[name].symbols if name in parts else 0, len(blob)]
        )
        blobs.append(blob)
    header = json.dumps({"coder": coder, "tensors": tensors}, separators=(",", ":"), sort_keys=True).encode()
    body = b"".join([MAGIC, len(header).to_bytes(4, "little"), header, *blobs])
    return Encoded(
        body + hashlib.sha256(body).digest(),
        coded_values=sum(np.asarray(arrays[name]).size for name in parts),
        entropy_bytes=sum(p.entropy_bytes for p in parts.values()),
        index_bytes=sum(len(p.places) for p in parts.values()),
        codebook_bytes=sum(len(p.codebook) for p in parts.values()),
        plain_bytes=sum(len(b) for b, t in zip(blobs, tensors, strict=True) if not t[3]),
    )


def coded(values: Array, coder: Coder) -> Part | None:
    """`values` by their places in a codebook, or None when there are too many distinct ones, or no value at all."""
    bits = _as_integers(values)
    if not 0 < len(np.unique(bits[: 4 * MOST])) <= MOST or len(codebook := np.unique(bits)) > MOST:
        return None
    places = np.searchsorted(codebook, bits)
    counts = np.bincount(places)
    if len(codebook) == 1:
        return Part(codebook.tobytes(), b"", 1, 0.0)
    table = CODERS[coder].table(counts)
    index = table.tobytes() + CODERS[coder].encode(places, table)
    return Part(codebook.tobytes(), index, len(codebook), entropy_bytes(counts))


def entropy_bytes(counts_K: Array) -> float:
    """The fewest bytes, on average, for symbols drawn one by one with these counts, none zero (Shannon 1948)."""
    total = counts_K.sum()
    return float((counts_K * np.log2(total / counts_K)).sum() / 8)


def _as_integers(values: Array) -> Array:
    """The values' bits: as numbers -0.0 would equal 0.0, and NaN nothing."""
    return np.ascontiguousarray(values).reshape(-1).view(f"<u{values.dtype.itemsize}")


def decode(data: bytes) -> dict[str, Array]:
    """The arrays that `encode` was given, bit for bit. Raises ArtifactError when the file is damaged."""
    body, digest = data[:-DIGEST_BYTES], data[-DIGEST_BYTES:]
    if body[:4] != MAGIC or hashlib.sha256(body).digest() != digest:
        raise ArtifactError("not an .srz file of this version, or damaged: its first bytes or its digest are not right")
    start = 8 + int.from_bytes(body[4:8], "little")
    header = json.loads(body[8:start])
    arrays: dict[str, Array] = {}
    for name, dtype, shape, symbols, size in header["tensors"]:
        blob = body[start : start + size]
        if symbols:
            blob = _decoded(blob, np.dtype(dtype).itemsize, symbols, int(np.prod(shape)), header["coder"])
        arrays[name] = np.frombuffer(blob, dtype).reshape(shape).copy()
        start += size
    return arrays


def _decoded(blob: bytes, itemsize: int, symbols: int, n: int, coder: str) -> bytes:
    """The bytes of a tensor of `n` elements."""
    codebook = np.frombuffer(blob, f"<u{itemsize}", symbols)
    if symbols == 1:
        return np.repeat(codebook, n).tobytes()
    kind = np.dtype(CODERS[coder].TABLE)
    table = np.frombuffer(blob, kind, symbols, offset=codebook.nbytes)
    stream = blob[codebook.nbytes + table.nbytes :]
    found: Array = CODERS[coder].decode(stream, table, n)
    return codebook[found].tobytes()
