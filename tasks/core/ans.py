"""Asymmetric numeral systems: coding that comes within a few bytes of the entropy, whatever the counts.

Duda, *Asymmetric numeral systems*, 2013 (arXiv:1311.2540), by the library of Bamler, *Understanding Entropy Coding With
Asymmetric Numeral Systems*, 2022 (arXiv:2201.01741), which is the extra `srz`. The table is one byte a symbol: how far
its count lies below the greatest, in sixteenths of a factor of two. That is off by 2.2 % at most, which costs less than
a thousandth of a bit a symbol, and a table half as long as one of counts is what small tensors need.
Shapes: K = symbols, at least two; n = coded symbols.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from tasks.core.errors import TechniqueError

Array = np.ndarray[Any, Any]
TABLE = "u1"
STEPS = 16  # that halve a count
FALLING = np.array([round(2 ** (30 - k / STEPS)) for k in range(STEPS)], dtype=np.int64)
"""What a count falls to, step by step. Whole numbers: another processor must read the very same table."""


def table(counts_K: Array) -> Array:
    """(K,) what stands in the file for the counts, none of which may be zero: 0 for the greatest, at most 255."""
    counts = np.asarray(counts_K, dtype=np.float64)
    below = np.rint(STEPS * np.log2(counts.max() / counts))
    found: Array = np.minimum(below, 255).astype(TABLE)
    return found


def encode(symbols_n: Array, table_K: Array) -> bytes:
    """The symbols as bits; `decode` needs the same table and n."""
    coder = library().stream.stack.AnsCoder()
    coder.encode_reverse(np.ascontiguousarray(symbols_n, dtype=np.int32), _model(table_K))
    coded: bytes = coder.get_compressed().astype("<u4").tobytes()
    return coded


def decode(coded: bytes, table_K: Array, n: int) -> Array:
    """(n,) the symbols, int32."""
    words = np.frombuffer(coded, "<u4").astype(np.uint32)
    symbols: Array = library().stream.stack.AnsCoder(words).decode(_model(table_K), n)
    return symbols


def _model(table_K: Array) -> Any:
    steps = table_K.astype(np.int64)
    counts = (FALLING[steps % STEPS] >> (steps // STEPS)).astype(np.float64)
    return library().stream.model.Categorical(counts / counts.sum(), perfect=False)


def library() -> ModuleType:
    """The package constriction; TechniqueError when it is not installed."""
    try:
        import constriction
    except ModuleNotFoundError:
        raise TechniqueError(
            "coder: ans needs the package constriction, which is not installed; `pip install 'stillroom[srz]'`, "
            "or take coder: huffman, which needs none and makes files about 1 % larger"
        ) from None
    return constriction  # type: ignore[no-any-return]
