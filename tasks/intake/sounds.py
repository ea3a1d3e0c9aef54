"""WAV files as rows of samples, for the sources that read them. serving/sound.py does the very same; a test compares.

Shapes: S = samples a row.
"""

from __future__ import annotations

import io
import struct
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.core.errors import DataError

if TYPE_CHECKING:
    import numpy as np

SUFFIXES = (".wav", ".wave")
RATE_MIN, RATE_MAX = 1000, 192_000
"""Samples a second, of a file. A greater one, coprime to the rate that is wanted, asks for a filter of gigabytes."""


def decode(path: Path, rate: int, samples: int) -> np.ndarray[Any, Any]:
    """The first `samples` samples of a file, at `rate` a second, all channels in one, silence behind: (S,) int16.

    A file of one channel of int16 at that rate is taken as it is. Raises DataError, which names the file.
    """
    import numpy as np
    from scipy.signal import resample_poly

    found, waves = _read(path)
    if not RATE_MIN <= found <= RATE_MAX:
        raise DataError(f"{path}: {found} samples a second; allowed: {RATE_MIN} to {RATE_MAX}")
    mono = _mono(waves[: -(-samples * found // rate)])
    if not mono.size or not np.isfinite(mono).all():
        raise DataError(f"{path}: {'no sound in it' if not mono.size else 'samples that are not finite'}")
    if found != rate:
        common = gcd(found, rate)
        mono = resample_poly(mono, rate // common, found // common)
    row = np.zeros(samples, np.int16)
    row[: len(mono)] = np.clip(np.rint(mono[:samples] * 32768), -32768, 32767)
    return row


def _mono(waves: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """(S,) float64 within -1..1 from (S,) or (S, channels) of any type that a WAV file holds."""
    import numpy as np

    full = {"u": 128.0, "i": 2.0 ** (8 * waves.itemsize - 1), "f": 1.0}[waves.dtype.kind]
    floats = (waves.astype(np.float64) - (128 if waves.dtype.kind == "u" else 0)) / full
    mono: np.ndarray[Any, Any] = floats.mean(axis=1) if floats.ndim == 2 else floats
    return mono


def _read(path: Path) -> tuple[int, np.ndarray[Any, Any]]:
    """Samples a second, and the samples as they stand in the file."""
    from scipy.io import wavfile

    try:
        content = path.read_bytes()
    except OSError as e:
        raise DataError(f"{path}: cannot be read ({e.strerror})") from None
    # SciPy takes what is left of a file that was cut off, and does not say so.
    if content[:4] == b"RIFF" and len(content) < 8 + int.from_bytes(content[4:8], "little"):
        raise DataError(f"{path}: {len(content)} bytes, it says {8 + int.from_bytes(content[4:8], 'little')}; cut off?")
    try:
        rate, waves = wavfile.read(io.BytesIO(content))
    except (ValueError, struct.error, ArithmeticError, EOFError, MemoryError, UnboundLocalError) as e:
        raise DataError(f"{path}: not a WAV file that can be read ({e})") from None
    return rate, waves
