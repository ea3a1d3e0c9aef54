"""INT8 sums as x86 processors without VNNI compute them: pairs of products, clipped to 16 bits.

AVX2 and AVX-512 without VNNI multiply unsigned activations by signed weights with `vpmaddubsw`: two neighbouring
products are added and *saturate* at 16 bits before they enter the 32-bit sum (Intel 64 and IA-32 Architectures Software
Developer's Manual, vol. 2, PMADDUBSW). 2 * 255 * 127 does not fit, so the same file can answer otherwise there. VNNI,
AMX, and Arm processors add in 32 bits. Only unsigned times signed is computed so: other mixtures of types are exact.

Shapes: M rows, K summed positions (pairs are 0-1, 2-3, ...; an odd last one stands alone), N columns.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

LOW, HIGH = -(2**15), 2**15 - 1
MOST = 255  # an unsigned 8-bit activation
CELLS = 2**22  # pair sums held in memory at once


class Sums(NamedTuple):
    """Products summed, (M, N) float64 holding whole numbers, and how many of them lost something to saturation."""

    values: Array
    clipped: int


def risky_pairs(weight_KN: Array) -> tuple[Array, Array]:
    """(pair, column) of every two neighbouring int8 weights whose sum of products could leave 16 bits; (P,) each.

    Exact: activations range over 0..255 independently, so the extremes are reached at 0 or 255. Weights of -64..63 give
    none, for 255 * 128 fits.
    """
    even, odd = _pairs(weight_KN)
    most = MOST * (np.maximum(even, 0) + np.maximum(odd, 0))
    least = MOST * (np.minimum(even, 0) + np.minimum(odd, 0))
    columns, pairs = np.nonzero(((most > HIGH) | (least < LOW)).T)
    return pairs, columns


def can_saturate(left: np.dtype[Any], weight_KN: Array) -> bool:
    """Whether activations of type `left` times this weight may be clipped at all."""
    return left == np.uint8 and weight_KN.dtype == np.int8 and len(risky_pairs(weight_KN)[0]) > 0


def lost(values_MK: Array, weight_KN: Array) -> Array:
    """What saturation takes from each sum, (M, N) float64: exact minus saturated; zeros when nothing saturates."""
    out_MN = np.zeros((len(values_MK), weight_KN.shape[1]))
    if values_MK.dtype != np.uint8 or weight_KN.dtype != np.int8:
        return out_MN
    pairs, columns = risky_pairs(weight_KN)
    (even_w, odd_w), (even_x, odd_x) = _pairs(weight_KN), _pairs(values_MK.T)
    step = max(1, CELLS // max(1, len(values_MK)))
    for start in range(0, len(pairs), step):
        p, n = pairs[start : start + step], columns[start : start + step]
        sums_PM = even_x[p] * even_w[p, n][:, None] + odd_x[p] * odd_w[p, n][:, None]
        over_PM = sums_PM - np.clip(sums_PM, LOW, HIGH)
        first = np.flatnonzero(np.diff(n, prepend=-1))  # columns come in order
        out_MN[:, n[first]] += np.add.reduceat(over_PM, first, axis=0).T
    return out_MN


def product(values_MK: Array, weight_KN: Array, zeros: tuple[Array | int, Array | int], saturating: bool) -> Sums:
    """(values - zeros[0]) @ (weight - zeros[1]), as a processor with or without VNNI computes it.

    Zero points are taken off afterwards in 32 bits, so it is the raw values that saturate.
    """
    left, right = values_MK.astype(np.float64) - zeros[0], weight_KN.astype(np.float64) - zeros[1]
    exact = left @ right  # whole numbers far below 2**53
    if not saturating:
        return Sums(exact, 0)
    missing = lost(values_MK, weight_KN)
    return Sums(exact - missing, int(np.count_nonzero(missing)))


def _pairs(matrix: Array) -> tuple[Array, Array]:
    """The even and the odd rows as int32; an odd one out is paired with zeros."""
    padded = np.pad(matrix.astype(np.int32), ((0, len(matrix) % 2), (0, 0)))
    return padded[0::2], padded[1::2]
