"""Canonical Huffman coding with numpy: many short streams side by side, so that decoding is vectorised too.

Huffman 1952, *A Method for the Construction of Minimum-Redundancy Codes*. The table is one code length a symbol; the
codes follow from the lengths. Every LANE symbols start a stream of their own, whose length in bits is kept (4 bytes,
about a thousandth of it), so that a step of the decoder takes one symbol from each.
Shapes: K = symbols, n = coded symbols, L = longest code.
"""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
TABLE = "u1"
LANE = 4096
LONGEST = 20
CHUNK = 1 << 20


def table(counts_K: Array) -> Array:
    """(K,) bits of each symbol's code, uint8, at most LONGEST; zero for a symbol that does not occur.

    A lone symbol gets one bit. Counts are flattened until the longest code is short enough (as bzip2 does).
    """
    counts = np.asarray(counts_K, dtype=np.int64)
    while True:
        lengths = _tree_depths(counts)
        if lengths.max(initial=0) <= LONGEST:
            return lengths
        counts = (counts + 1) // 2


def _tree_depths(counts: Array) -> Array:
    used = np.flatnonzero(counts)
    lengths = np.zeros(len(counts), dtype=np.uint8)
    if len(used) == 1:
        lengths[used] = 1
        return lengths
    heap: list[tuple[int, int, tuple[int, ...]]] = [(int(counts[s]), k, (int(s),)) for k, s in enumerate(used)]
    heapq.heapify(heap)
    made = len(heap)
    while len(heap) > 1:
        (a, _, left), (b, _, right) = heapq.heappop(heap), heapq.heappop(heap)
        lengths[[*left, *right]] += 1
        heapq.heappush(heap, (a + b, made, left + right))
        made += 1
    return lengths


def codes(lengths_K: Array) -> tuple[Array, Array]:
    """The symbols that occur by rising code, and the code of each, which is canonical: shorter codes come first."""
    order = np.lexsort((np.arange(len(lengths_K)), lengths_K))
    order = order[lengths_K[order] > 0]
    sizes = lengths_K[order].astype(np.int64)
    longest = int(sizes.max(initial=0))
    # A code is the share of the unit interval that the ones before it take up, cut to its own length.
    before = np.concatenate([[0], np.cumsum(1 << (longest - sizes))[:-1]])
    return order, before >> (longest - sizes)


def encode(symbols_n: Array, lengths_K: Array) -> bytes:
    """The symbols as bits; `decode` needs the same lengths and n."""
    order, code = codes(lengths_K)
    longest = int(lengths_K.max(initial=0))
    places = np.arange(longest)
    bits = np.zeros((len(lengths_K), longest), dtype=np.uint8)
    keep = places < lengths_K[:, None]
    back = lengths_K[order].astype(np.int64)[:, None] - 1 - places
    bits[order] = (code[:, None] >> np.maximum(back, 0)) & (back >= 0)
    chunks = [symbols_n[k : k + CHUNK] for k in range(0, len(symbols_n), CHUNK)]
    stream = np.concatenate([bits[part][keep[part]] for part in chunks])
    sizes = lengths_K[symbols_n].astype(np.int64)
    lanes = np.add.reduceat(sizes, np.arange(0, len(sizes), LANE)).astype("<u4")
    return lanes.tobytes() + np.packbits(stream).tobytes()


def decode(coded: bytes, lengths_K: Array, n: int) -> Array:
    """(n,) the symbols, int32."""
    order, _ = codes(lengths_K)
    sizes = lengths_K[order].astype(np.int64)
    longest = int(sizes.max())
    # What follows each possible run of `longest` bits; runs that no code starts are never looked up.
    spans = 1 << (longest - sizes)
    symbol_of, size_of = np.repeat(order, spans), np.repeat(sizes, spans)
    count = -(-n // LANE)
    lanes = np.frombuffer(coded, "<u4", count).astype(np.int64)
    data = np.frombuffer(coded + b"\0" * 8, np.uint8, offset=4 * count).astype(np.uint32)
    # 32 bits from every byte on: a code of up to 20 bits lies within, wherever it starts.
    words = (data[:-3] << 24) | (data[1:-2] << 16) | (data[2:-1] << 8) | data[3:]
    at = np.concatenate([[0], np.cumsum(lanes)[:-1]])
    out = np.empty((LANE, count), dtype=np.int32)
    for step in range(min(LANE, n)):
        if step == n - (count - 1) * LANE:
            at = at[:-1]  # the last lane is shorter
        run = (words[at >> 3] << (at & 7).astype(np.uint32)) >> np.uint32(32 - longest)
        out[step, : len(at)] = symbol_of[run]
        at = at + size_of[run]
    return out.T.reshape(-1)[:n] if count else out[:0, 0]
