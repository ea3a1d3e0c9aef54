"""From a sound to a picture of it, inside the network: the log-mel spectrogram.

Davis and Mermelstein, *Comparison of Parametric Representations for Monosyllabic Word Recognition*, 1980; the mel scale
is O'Shaughnessy's, 2595 log10(1 + f / 700), as in HTK. The Fourier transform is a convolution with fixed weights, which
every runtime has. `model.onnx` holds all of it, so training, measuring and serving cannot differ.

Shapes: N = rows, S = samples, M = mels, F = frames (those that lie wholly within the sound), B = frequencies.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tasks.core.layers import Normalized
from tasks.core.preprocess import Sound

Array = np.ndarray[Any, Any]
FRONT = "log_mel_"
"""With which the names of this module's constants begin, in the network as in the graph."""
IN_FLOAT = "makes a picture of a sound: energies span more than 8 or 16 bits can hold"
"""Why what computes with them is never quantized."""
FULL_SCALE = 32768.0  # of int16
FLOOR = 1e-10  # of an energy: silence is -100 dB


def fourier_basis(window: int) -> Array:
    """(2B, 1, window): cosines, then sines, under a Hann window; for samples in int16's units."""
    time, frequency = np.arange(window), np.arange(window // 2 + 1)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * time / window)
    # The product is reduced before it is multiplied by 2 pi: exact for any window.
    angle = 2 * np.pi * (np.outer(frequency, time) % window) / window
    found: Array = np.concatenate([np.cos(angle), np.sin(angle)]) * hann / FULL_SCALE
    return found[:, None]


def mel_filters(rate: int, window: int, mels: int) -> Array:
    """(M, B): triangles that stand equally wide on the mel scale, from 0 to half the rate, of height one."""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, mels + 2) / 2595) - 1)
    hertz = np.arange(window // 2 + 1) * rate / window
    rising = (hertz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - hertz) / (edges[2:] - edges[1:-1])[:, None]
    found: Array = np.maximum(0, np.minimum(rising, falling))
    return found


class LogMel(Normalized):
    """A network of pictures, `body`, that takes raw sound (N, S) int16 and sees it as (N, 1, M, F).

    A picture's values are (log10(energy) + 4) / 4: about -1.5 for silence to 1.5 for full scale, whatever the data.
    """

    log_mel_basis: Tensor
    log_mel_filters: Tensor
    log_mel_floor: Tensor
    log_mel_scale: Tensor
    log_mel_shift: Tensor

    def __init__(self, body: nn.Module, sound: Sound) -> None:
        super().__init__(body, (), (), 1)
        self.hop = sound.hop
        constants = {
            "basis": fourier_basis(sound.window),
            "filters": mel_filters(sound.rate, sound.window, sound.mels),
            "floor": np.array([FLOOR]),
            "scale": np.array([1 / (4 * np.log(10))]),
            "shift": np.array([1.0]),
        }
        for name, value in constants.items():
            # Not in the checkpoint's weights: model.json's numbers make them again.
            self.register_buffer(FRONT + name, torch.tensor(value, dtype=torch.float32), persistent=False)

    def picture(self, waveform_NS: Tensor) -> Tensor:
        """(N, 1, M, F) float32."""
        waves = nn.functional.conv1d(waveform_NS.to(torch.float32)[:, None], self.log_mel_basis, stride=self.hop)
        cosines, sines = waves.chunk(2, dim=1)
        energy_NMF = torch.matmul(self.log_mel_filters, cosines * cosines + sines * sines)
        logarithm = torch.log(energy_NMF + self.log_mel_floor)
        return (logarithm * self.log_mel_scale + self.log_mel_shift)[:, None]

    def normalized(self, raw: Tensor) -> Tensor:
        """What the body is given for raw sound (N, S): `picture`, in float32 whatever the rest is computed in."""
        if not torch.is_autocast_enabled(raw.device.type):
            return self.picture(raw)
        with torch.autocast(raw.device.type, enabled=False):  # energies span more than 16 bits can hold
            return self.picture(raw)
