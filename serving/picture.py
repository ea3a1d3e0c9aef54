"""A client's picture file as the network's array."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from serving.base64_file import file_of
from serving.refusal import Refused
from serving.shapes import Preprocess

# A small file can unpack into a very large picture, and a request may hold many of them.
PIXELS_MAX = 50_000_000  # of one picture
PIXELS_MAX_TOGETHER = 100_000_000  # of a request


@dataclass
class Budget:
    """The pixels that the pictures of one request may still unpack into."""

    left: int

    def spend(self, width: int, height: int, at: str) -> None:
        """Take a picture's pixels off; Refused when it alone, or the request, has too many."""
        pixels = width * height
        if pixels > PIXELS_MAX:
            raise Refused(f"{at}: {width} x {height} pixels; allowed: {PIXELS_MAX} pixels")
        if pixels > self.left:
            raise Refused(f"{at}: too many pixels with those before it; allowed: {PIXELS_MAX_TOGETHER} a request")
        self.left -= pixels


def picture(text: Any, at: str, preprocess: Preprocess, budget: Budget) -> np.ndarray[Any, Any]:
    """A base64 PNG or JPEG as (C, H, W) uint8, grey or RGB, resized as the training data were."""
    opened = _open(file_of(text, at, "a PNG or JPEG file"), at, budget)
    if opened.size != (preprocess.width, preprocess.height):
        opened = opened.resize((preprocess.width, preprocess.height), Image.Resampling.BILINEAR)
    pixels = np.asarray(opened.convert("L" if preprocess.channels == 1 else "RGB"))
    return pixels[None] if preprocess.channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _open(content: bytes, at: str, budget: Budget) -> Image.Image:
    """The decoded picture, in a mode that resizing does not spoil: the steps that the training data went through."""
    try:
        opened: Image.Image = Image.open(BytesIO(content), formats=("PNG", "JPEG"))
        budget.spend(opened.width, opened.height, at)
        opened.load()
    except Image.DecompressionBombError:
        raise Refused(f"{at}: too many pixels; allowed: {PIXELS_MAX} pixels") from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error):
        raise Refused(f"{at}: not a readable PNG or JPEG file") from None
    if opened.mode[0] in "IF":
        raise Refused(f"{at}: more than 8 bits a channel (mode {opened.mode}); allowed: 8")
    return opened if opened.mode in ("L", "RGB") else opened.convert("L" if opened.mode == "1" else "RGB")
