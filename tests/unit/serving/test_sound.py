"""A WAV file becomes the very samples that training saw, or is refused."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile

from serving import package
from serving.inputs import read
from serving.openapi import example
from serving.package import PackageError
from serving.refusal import Refused
from serving.shapes import Preprocess
from tasks.intake.sounds import decode
from tests import made_package

SOUND = {"rate": 8000, "samples": 800, "mels": 8, "window": 200, "hop": 80}
AUDIO = {
    **made_package.IMAGE,
    "kind": "audio",
    "channels": 0,
    "height": 0,
    "width": 0,
    "sound": SOUND,
    "inputs": {"waveform": {"shape": [800], "dtype": "int16"}},
}
RNG = np.random.default_rng(0)


def wav(rate: int, waves: np.ndarray[Any, Any]) -> bytes:
    out = io.BytesIO()
    wavfile.write(out, rate, waves)
    return out.getvalue()


def ask(row: Any) -> np.ndarray[Any, Any]:
    body = json.dumps({"inputs": [row]}).encode()
    found: np.ndarray[Any, Any] = read(body, Preprocess.model_validate(AUDIO), rows_max=1).inputs["waveform"]
    return np.asarray(found[0])


def row(content: bytes) -> dict[str, str]:
    return {"audio_base64": base64.b64encode(content).decode()}


WAVES: dict[str, np.ndarray[Any, Any]] = {
    "int16": RNG.integers(-32768, 32768, 900).astype(np.int16),
    "short": RNG.integers(-32768, 32768, 100).astype(np.int16),
    "uint8 stereo": RNG.integers(0, 256, (900, 2)).astype(np.uint8),
    "int32": RNG.integers(-(2**31), 2**31, 900).astype(np.int32),
    "float32": RNG.normal(size=900).astype(np.float32),
}


@pytest.mark.parametrize("kind", WAVES)
@pytest.mark.parametrize("rate", [8000, 11025, 4000, 44100])
def test_serving_and_training_make_the_same_samples_bit_for_bit(tmp_path: Path, kind: str, rate: int) -> None:
    content = wav(rate, WAVES[kind])
    (tmp_path / "a.wav").write_bytes(content)
    found = ask(row(content))
    assert found.shape == (800,) and found.dtype == np.int16 and found.any()
    assert np.array_equal(found, decode(tmp_path / "a.wav", 8000, 800))


def test_numbers_are_taken_as_they_are() -> None:
    assert np.array_equal(ask(WAVES["int16"][:800].tolist()), WAVES["int16"][:800])


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ({"audio_base64": 3}, "inputs[0].audio_base64: is a number; allowed: a string, the base64 of a WAV file"),
        ({"audio_base64": "?"}, "inputs[0].audio_base64: not base64"),
        ({"image_base64": ""}, "inputs[0]: has keys ['image_base64']; allowed: {\"audio_base64\""),
        (row(b"no wav at all"), "inputs[0].audio_base64: not a readable WAV file"),
        (row(wav(8000, WAVES["int16"])[:300]), "inputs[0].audio_base64: a WAV file that is cut off"),
        (row(wav(8000, WAVES["int16"][:0])), "inputs[0].audio_base64: no sound in it"),
        (row(wav(8000, np.full(9, np.nan, np.float32))), "inputs[0].audio_base64: samples that are not finite"),
        (row(wav(999_983, WAVES["int16"])), "inputs[0].audio_base64: 999983 samples a second; allowed: 1000 to"),
        ([0] * 799, "inputs[0]: shape (799,); allowed: (800,)"),
        ("a", 'inputs[0]: is a string; allowed: lists of numbers of shape (800,) or {"audio_base64"'),
    ],
)
def test_what_is_no_sound_is_refused(asked: Any, fault: str) -> None:
    with pytest.raises(Refused) as e:
        ask(asked)
    assert str(e.value).startswith(fault) and e.value.status == 422


def test_a_package_for_sounds_must_say_what_to_make_of_one(tmp_path: Path) -> None:
    folder = made_package.make(tmp_path / "package")
    for about, good in ((AUDIO, True), ({**AUDIO, "sound": None}, False), ({**AUDIO, "inputs": {}}, False)):
        (folder / "preprocess.json").write_text(json.dumps(about))
        made_package.seal(folder)
        if good:
            assert ask(example(package.read(folder))["inputs"][0]).tolist() == [0] * 800
        else:
            with pytest.raises(PackageError, match="kind audio"):
                package.read(folder)
