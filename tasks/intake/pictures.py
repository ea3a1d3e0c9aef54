"""Picture files as arrays (C, H, W) of uint8, for the sources that read them."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field

from tasks.core.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
Channels = Annotated[Literal[1, 3], Field(description="1 grey, 3 RGB")]
Side = Annotated[int, Field(ge=1, le=8192)]
Size = Annotated[Side | tuple[Side, Side] | None, Field(description="pixels: a side, or [height, width]")]


class Form(NamedTuple):
    """What every picture becomes; `resize` False: one of another size is an error."""

    channels: int
    height: int
    width: int
    resize: bool


def form_of(first: bytes | Path, where: str, channels: int, size: Size) -> Form:
    """The form that `size` asks for, or that of the first picture when it is None."""
    if size is None:
        picture = _open(first, where)
        return Form(channels, picture.height, picture.width, resize=False)
    height, width = (size, size) if isinstance(size, int) else size
    return Form(channels, height, width, resize=True)


def decode(source: bytes | Path, where: str, form: Form) -> np.ndarray[Any, Any]:
    """One picture as (C, H, W) uint8; DataError, beginning with `where`, when it cannot be read or has another size."""
    import numpy as np
    from PIL import Image

    picture = _open(source, where)
    if picture.size != (form.width, form.height):
        if not form.resize:
            raise DataError(
                f"{where}: {picture.height} x {picture.width} pixels, the first picture has "
                f"{form.height} x {form.width}; give `size` to have all resized"
            )
        picture = picture.resize((form.width, form.height), Image.Resampling.BILINEAR)
    pixels = np.asarray(picture.convert("L" if form.channels == 1 else "RGB"))
    return pixels[None] if form.channels == 1 else pixels.transpose(2, 0, 1)


def _open(source: bytes | Path, where: str) -> Image.Image:
    """The decoded picture, 8 bits a channel, in a mode that resizing does not spoil."""
    from PIL import Image

    try:
        picture = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
        picture.load()
    except FileNotFoundError:
        raise DataError(f"{where}: there is no file {source!s}") from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError) as e:
        about = type(e).__name__ if "BytesIO" in str(e) else str(e)
        raise DataError(f"{where}: not a picture that can be read ({about})") from None
    if picture.mode[0] in "IF":
        raise DataError(f"{where}: more than 8 bits a channel (mode {picture.mode}); save it with 8")
    # Palette and bilevel pictures hold no shades to interpolate.
    return picture if picture.mode in ("L", "RGB") else picture.convert("L" if picture.mode == "1" else "RGB")
