"""Sounds in folders, and the spectrogram within the network: against SciPy, through export and quantization."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import signal
from scipy.io import wavfile

from tasks.core.contract import Data, Graph, Network, Split
from tasks.core.errors import DataError
from tasks.core.export import export, parity, relative_difference, session
from tasks.core.log_mel import LogMel, mel_filters
from tasks.core.preprocess import Preprocess, Sound
from tasks.core.shape import body_of, build_like
from tasks.sources import wav_folder
from tasks.techniques import quantize, train

SOUND = Sound(rate=8000, samples=2000, mels=16, window=200, hop=80)
TONE = (8000 * np.sin(2 * np.pi * 440 * np.arange(1000) / 8000)).astype(np.int16)


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        wavfile.write(folder / name, 8000, TONE)
    return folder


def test_classes_splits_and_samples(tmp_path: Path) -> None:
    write(tmp_path, "train/no/1.wav", "train/yes/2.wav", "train/yes/1.wav", "test/yes/1.WAV")
    data = wav_folder.load(path=str(tmp_path), rate=8000, seconds=0.25, mels=16)
    rows = data.train.inputs["waveform"]
    assert (data.classes, data.train.labels.tolist(), data.val) == (("no", "yes"), [0, 1, 1], None)
    assert rows.shape == (3, 2000) and rows.dtype == np.int16 and data.preprocess.sound == SOUND
    assert np.array_equal(rows[:2], [[*TONE, *[0] * 1000]] * 2) and len(data.split("test")) == 1


def test_another_rate_keeps_the_pitch(tmp_path: Path) -> None:
    data = wav_folder.load(path=str(write(tmp_path, "a/1.wav")), rate=16000, seconds=0.125)
    wave = data.train.inputs["waveform"][:1][0]
    assert np.abs(np.fft.rfft(wave)).argmax() == 440 // 8 and 7500 < np.abs(wave).max() < 8500


def test_faults_name_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "a/1.wav") / "a" / "1.wav"
    whole = file.read_bytes()
    for content, fault in ((whole[:-9], "cut off"), (b"noise", "not a WAV file"), (whole[:20], "cut off")):
        file.write_bytes(content)
        with pytest.raises(DataError, match=f"{file}.*{fault}"):
            wav_folder.load(path=str(tmp_path)).train.inputs["waveform"][:1]
    file.unlink()
    with pytest.raises(DataError, match=r"no sounds; expected <class>/\*.wav"):
        wav_folder.load(path=str(tmp_path))


@pytest.mark.parametrize(
    ("own", "fault"),
    [
        ({"mels": 200}, "of 200 would hear nothing"),
        ({"seconds": 0.01}, "window_ms: 400 samples; allowed: the 160"),
        ({"hop_ms": 0.01}, "too few"),
    ],
)
def test_a_spectrogram_that_cannot_be(tmp_path: Path, own: dict[str, Any], fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        wav_folder.load(path=str(tmp_path), **own)


def test_the_spectrogram_is_scipys() -> None:
    wave = np.random.default_rng(0).integers(-9000, 9000, (2, SOUND.samples)).astype(np.int16)
    hann = signal.get_window("hann", SOUND.window)
    frames = np.lib.stride_tricks.sliding_window_view(wave / 32768, SOUND.window, axis=1)[:, :: SOUND.hop]
    energy = np.abs(np.fft.rfft(frames * hann)) ** 2
    expected = (np.log10(energy @ mel_filters(8000, 200, 16).T + 1e-10) + 4) / 4
    found = LogMel(torch.nn.Identity(), SOUND).picture(torch.tensor(wave))
    assert found.shape == (2, 1, SOUND.mels, SOUND.frames) == (2, 1, 16, 23)
    np.testing.assert_allclose(found[:, 0].numpy(), expected.transpose(0, 2, 1), atol=1e-5)


def test_a_filter_hears_its_own_pitch_alone() -> None:
    filters = mel_filters(16000, 400, 40)
    assert filters.shape == (40, 201) and (filters.argmax(axis=1)[1:] >= filters.argmax(axis=1)[:-1]).all()
    # Neighbours overlap so that together they are one, between the first peak and the last.
    first, last = filters.argmax(axis=1)[[0, -1]]
    np.testing.assert_allclose(filters.sum(axis=0)[first + 1 : last], 1, atol=1e-9)


def tones() -> Data:
    rng = np.random.default_rng(0)
    labels, time = np.arange(96) % 3, np.arange(SOUND.samples) / SOUND.rate
    waves = 8000 * np.sin(2 * np.pi * (300 + 700 * labels[:, None]) * time) + 500 * rng.normal(size=(96, 2000))
    split = Split({"waveform": waves.astype(np.int16)}, labels.astype(np.int64))
    return Data(split, ("low", "middle", "high"), Preprocess(kind="audio", sound=SOUND), split, split, split)


@pytest.mark.integration
def test_a_network_of_pictures_learns_sounds_and_is_quantized_behind_the_spectrogram() -> None:
    data = tones()
    torch.manual_seed(0)
    made = build_like({"arch": "small_cnn", "width": 8}, data)
    assert not [name for name in made.module.state_dict() if "log_mel" in name]
    assert body_of(made.module) is made.module.body
    network = train.apply(made, data, train.Params(epochs=12, lr=0.05, batch=8)).model
    assert isinstance(network, Network)
    proto = export(network, data)
    assert parity(network, proto, data) < 1e-4
    feed = {"waveform": data.val.inputs["waveform"][:]} if data.val else {}
    expected = session(proto).run(["logits"], feed)[0]
    assert (expected.argmax(1) == data.train.labels).mean() > 0.95
    for own in ({"scheme": "static"}, {"scheme": "weight_only", "block_size": 16}, {"scheme": "fp16"}):
        found = quantize.apply(Graph(proto), data, quantize.Params.model_validate(own))
        assert isinstance(found.model, Graph)
        front = {t.name: t.data_type for t in found.model.proto.graph.initializer if t.name.startswith("log_mel")}
        assert len(front) == 5 and set(front.values()) == {1}  # all still float32, under their own names
        assert relative_difference(session(found.model.proto).run(["logits"], feed)[0], expected) < 0.2


def test_quarter_full_scale_and_silence_stay_within_a_pictures_values() -> None:
    network = LogMel(torch.nn.Identity(), replace_samples(400))
    wave = torch.stack([torch.full((400,), -32768), torch.zeros(400)]).to(torch.int16)
    loud, silent = network.picture(wave)
    assert torch.isfinite(loud).all() and torch.allclose(silent, torch.tensor(-1.5)) and loud.max() < 2.5


def replace_samples(samples: int) -> Sound:
    return SOUND.model_copy(update={"samples": samples})
