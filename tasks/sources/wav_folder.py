"""Sounds in folders named after their class: <path>/<split>/<class>/*.wav, or <path>/<class>/*.wav.

Use when: the data are short sounds, such as spoken words. A network of pictures sees each as a log-mel spectrogram of
one channel, `mels` high; tasks.core.log_mel makes it inside the network, so `model.onnx` takes the samples themselves.
Every file becomes `seconds` of one channel at `rate`: what is longer is cut, what is shorter has silence behind it.
They are decoded when asked for, so the data may be larger than memory.
Splits: `train`, and where there are such folders `val` (or `validation`) and `test`. Classes and files count in the
order of their names. Files and folders whose name begins with a dot are not looked at; any other stray is an error.
Shapes: waveform (N, samples) int16.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from tasks.core.arrays import Decoded
from tasks.core.contract import Data, Split
from tasks.core.errors import DataError
from tasks.core.preprocess import Preprocess, Sound
from tasks.intake.class_folders import find
from tasks.intake.sounds import RATE_MAX, RATE_MIN, SUFFIXES, decode

if TYPE_CHECKING:
    import numpy as np

Milliseconds = Annotated[float, Field(gt=0, le=1000)]


def load(
    *,
    path: Annotated[str, Field(min_length=1, description="the folder")],
    rate: Annotated[int, Field(ge=RATE_MIN, le=RATE_MAX, description="samples a second; others are resampled")] = 16000,
    seconds: Annotated[float, Field(gt=0, le=60, description="of every sound")] = 1.0,
    mels: Annotated[int, Field(ge=1, le=256, description="the spectrogram's height")] = 40,
    window_ms: Annotated[Milliseconds, Field(description="what one column of the spectrogram hears")] = 25.0,
    hop_ms: Annotated[Milliseconds, Field(description="from one column to the next")] = 10.0,
) -> Data:
    """List the sounds; none is read yet."""
    samples, window, hop = (round(t * rate) for t in (seconds, window_ms / 1000, hop_ms / 1000))
    sound = Sound(rate=rate, samples=samples, mels=mels, window=window, hop=hop)
    _require_fit(sound)
    classes, found = find(Path(path), SUFFIXES, "sound")
    splits = {name: _split(rows, sound) for name, rows in found.items()}
    about = Preprocess(kind="audio", sound=sound)
    return Data(splits["train"], classes, about, val=splits.get("val"), test=splits.get("test"))


def _require_fit(sound: Sound) -> None:
    """DataError when there is no spectrogram of these numbers, or a row of it would always be empty."""
    from tasks.core.log_mel import mel_filters

    if sound.hop < 1 or sound.window < 2:
        raise DataError(f"window_ms, hop_ms: {sound.window} and {sound.hop} samples at {sound.rate} a second; too few")
    if sound.window > sound.samples:
        raise DataError(f"window_ms: {sound.window} samples; allowed: the {sound.samples} of `seconds` at most")
    empty = int((mel_filters(sound.rate, sound.window, sound.mels).max(axis=1) == 0).sum())
    if empty:
        raise DataError(f"mels: {empty} of {sound.mels} would hear nothing; take fewer, or a greater window_ms")


def _split(rows: list[tuple[Path, int]], sound: Sound) -> Split:
    import numpy as np

    waveform = Decoded(len(rows), (sound.samples,), np.int16, partial(_row, rows, sound))
    return Split({"waveform": waveform}, np.array([label for _, label in rows], np.int64))


def _row(rows: list[tuple[Path, int]], sound: Sound, i: int) -> np.ndarray[Any, Any]:
    return decode(rows[i][0], sound.rate, sound.samples)
