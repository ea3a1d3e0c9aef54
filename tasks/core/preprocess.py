"""How a client's input becomes the network's, for pictures, texts, sounds and numbers."""

from __future__ import annotations

from typing import Literal

from tasks.core.frozen import Frozen


class Sound(Frozen):
    """What is made of a sound: `samples` at `rate` a second, then the log-mel spectrogram of tasks.core.log_mel.

    The spectrogram has `mels` rows, and a column for each `window` samples, `hop` samples after the one before.
    """

    rate: int
    samples: int
    mels: int
    window: int
    hop: int

    @property
    def frames(self) -> int:
        """The columns: windows that lie wholly within the sound."""
        return 1 + (self.samples - self.window) // self.hop


class Preprocess(Frozen):
    """How a client's input becomes the network's: carried from the data to the service.

    `image`: a picture is decoded to `channels` (1 grey, 3 RGB), resized to (`height`, `width`), laid out (C, H, W) as
    uint8 0..255. `array`: numbers are taken as they are. `mean` and `std` (one a channel, in the input's own units)
    are applied *inside* the network, so that training, measuring and serving cannot differ; empty means none.
    `text`: the tokenizer in Data.files[TOKENIZER] makes `length` tokens of a text, padded or cut, with ids below
    `vocab`; the inputs are `input_ids` and `attention_mask` (1 for a token, 0 for padding), (N, length) int64 each.
    `audio`: a WAV file becomes `sound.samples` samples, one channel, padded or cut: `waveform` (N, samples) int16. The
    rest of `sound` is done *inside* the network.
    """

    kind: Literal["image", "array", "text", "audio"]
    channels: int = 0
    height: int = 0
    width: int = 0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    length: int = 0
    vocab: int = 0
    sound: Sound | None = None


TOKENIZER = "tokenizer.json"
"""The name in Data.files of a text's tokenizer: the JSON of the library `tokenizers`, data without code."""
TEXT_INPUTS = ("input_ids", "attention_mask")
