"""A client's WAV file as the network's samples: the very steps that the training data went through."""

from __future__ import annotations

import io
import struct
from math import gcd
from typing import Any

import numpy as np

from serving.base64_file import file_of
from serving.refusal import Refused
from serving.shapes import Sound

Array = np.ndarray[Any, Any]
# A greater rate, coprime to the one that is wanted, asks for a filter of gigabytes.
RATE_MIN, RATE_MAX = 1000, 192_000


def sound(text: Any, at: str, about: Sound) -> Array:
    """A base64 WAV file as (samples,) int16: one channel, at the rate of the training data, padded or cut."""
    from scipy.signal import resample_poly

    found, waves = _read(file_of(text, at, "a WAV file"), at)
    if not RATE_MIN <= found <= RATE_MAX:
        raise Refused(f"{at}: {found} samples a second; allowed: {RATE_MIN} to {RATE_MAX}")
    mono = _mono(waves[: -(-about.samples * found // about.rate)])
    if not mono.size or not np.isfinite(mono).all():
        raise Refused(f"{at}: {'no sound in it' if not mono.size else 'samples that are not finite'}")
    if found != about.rate:
        common = gcd(found, about.rate)
        mono = resample_poly(mono, about.rate // common, found // common)
    row = np.zeros(about.samples, np.int16)
    row[: len(mono)] = np.clip(np.rint(mono[: about.samples] * 32768), -32768, 32767)
    return row


def _mono(waves: Array) -> Array:
    """(S,) float64 within -1..1 from (S,) or (S, channels) of any type that a WAV file holds."""
    full = {"u": 128.0, "i": 2.0 ** (8 * waves.itemsize - 1), "f": 1.0}[waves.dtype.kind]
    floats = (waves.astype(np.float64) - (128 if waves.dtype.kind == "u" else 0)) / full
    mono: Array = floats.mean(axis=1) if floats.ndim == 2 else floats
    return mono


def _read(content: bytes, at: str) -> tuple[int, Array]:
    """Samples a second, and the samples as they stand in the file."""
    from scipy.io import wavfile

    # SciPy takes what is left of a file that was cut off, and does not say so.
    if content[:4] == b"RIFF" and len(content) < 8 + int.from_bytes(content[4:8], "little"):
        raise Refused(f"{at}: a WAV file that is cut off")
    try:
        rate, waves = wavfile.read(io.BytesIO(content))
    except (ValueError, struct.error, ArithmeticError, EOFError, MemoryError, UnboundLocalError):
        raise Refused(f"{at}: not a readable WAV file") from None
    return rate, waves
