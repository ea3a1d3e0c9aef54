"""Pictures in folders named after their class: <path>/<split>/<class>/*.png, or <path>/<class>/*.png.

Use when: the pictures lie about as files. They are decoded when asked for, so the data may be larger than memory.
Splits: `train`, and where there are such folders `val` (or `validation`) and `test`. Classes and files count in the
order of their names. Files and folders whose name begins with a dot are not looked at; any other stray is an error.
Shapes: images (N, C, H, W) uint8.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from tasks.core.arrays import Decoded
from tasks.core.contract import Data, Split
from tasks.core.preprocess import Preprocess
from tasks.intake.class_folders import find
from tasks.intake.pictures import SUFFIXES, Channels, Form, Size, decode, form_of

if TYPE_CHECKING:
    import numpy as np


def load(
    *,
    path: Annotated[str, Field(min_length=1, description="the folder")],
    channels: Channels = 3,
    size: Size = None,
) -> Data:
    """List the pictures; none is read but the first, for its size when `size` is null."""
    classes, found = find(Path(path), SUFFIXES, "picture")
    first = found["train"][0][0]
    form = form_of(first, str(first), channels, size)
    splits = {name: _split(rows, form) for name, rows in found.items()}
    about = Preprocess(kind="image", channels=channels, height=form.height, width=form.width)
    return Data(splits["train"], classes, about, val=splits.get("val"), test=splits.get("test"))


def _split(rows: list[tuple[Path, int]], form: Form) -> Split:
    import numpy as np

    images = Decoded(len(rows), form[:3], np.uint8, partial(_row, rows, form))
    return Split({"images": images}, np.array([label for _, label in rows], np.int64))


def _row(rows: list[tuple[Path, int]], form: Form, i: int) -> np.ndarray[Any, Any]:
    path = rows[i][0]
    return decode(path, str(path), form)
