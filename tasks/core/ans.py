"""Asymmetric numeral systems: coding that comes within a few bytes of the entropy, whatever the counts.

Duda, *Asymmetric numeral systems*, 2013 (arXiv:1311.2540), by the library of Bamler, *Understanding Entropy Coding With
Asymmetric Numeral Systems*, 2022 (arXiv:2201.01741), which is the extra `srz`. The table is one count a symbol, scaled
to 16 bits: this costs less than a thousandth.
Shapes: K = symbols, at least two; n = coded symbols.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from tasks.core.errors import TechniqueError

Array = np.ndarray[Any, Any]
TABLE = "<u2"
TOP = 65535


def table(counts_K: Array) -> Array:
    """(K,) what stands in the file for the counts, none of which may be zero: 1..65535."""
    counts = np.asarray(counts_K, dtype=np.int64)
    scaled: Array = np.maximum(1, counts * TOP // counts.max()).astype(TABLE)
    return scaled


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
    counts = table_K.astype(np.float64)
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
