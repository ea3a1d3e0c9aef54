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
from tasks.core.contract import Data, Preprocess, Split
from tasks.core.errors import DataError, nearest
from tasks.intake.pictures import SUFFIXES, Channels, Form, Size, decode, form_of

if TYPE_CHECKING:
    import numpy as np

SPLIT_OF = {"train": "train", "val": "val", "validation": "val", "test": "test"}


def load(
    *,
    path: Annotated[str, Field(min_length=1, description="the folder")],
    channels: Channels = 3,
    size: Size = None,
) -> Data:
    """List the pictures; none is read but the first, for its size when `size` is null."""
    roots = _split_folders(Path(path))
    classes = tuple(folder.name for folder in _inside(roots["train"], folders=True))
    found = {name: _pictures(root, classes) for name, root in roots.items()}
    first = found["train"][0][0]
    form = form_of(first, str(first), channels, size)
    splits = {name: _split(rows, form) for name, rows in found.items()}
    about = Preprocess(kind="image", channels=channels, height=form.height, width=form.width)
    return Data(splits["train"], classes, about, val=splits.get("val"), test=splits.get("test"))


def _inside(folder: Path, *, folders: bool) -> list[Path]:
    """What lies in a folder, by name; DataError when something is not a folder (or not a picture)."""
    found = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    for p in found:
        if folders and not p.is_dir():
            raise DataError(f"{p}: a file where only folders are expected")
        if not folders and (p.is_dir() or p.suffix.lower() not in SUFFIXES):
            raise DataError(f"{p}: not a picture file; allowed: {' '.join(SUFFIXES)}")
    return found


def _split_folders(root: Path) -> dict[str, Path]:
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder")
    if not (root / "train").is_dir():
        return {"train": root}
    roots: dict[str, Path] = {}
    for folder in _inside(root, folders=True):
        if folder.name not in SPLIT_OF:
            raise DataError(f"{folder}: not a split{nearest(folder.name, SPLIT_OF)} (allowed: {', '.join(SPLIT_OF)})")
        if SPLIT_OF[folder.name] in roots:
            raise DataError(f"{root}: both `val` and `validation`; keep one")
        roots[SPLIT_OF[folder.name]] = folder
    return roots


def _pictures(root: Path, classes: tuple[str, ...]) -> list[tuple[Path, int]]:
    """Every picture under a split's folder with its class id, in the order of the names."""
    rows = []
    for folder in _inside(root, folders=True):
        if folder.name not in classes:
            raise DataError(f"{folder}: no class of that name in train{nearest(folder.name, classes)}")
        rows += [(p, classes.index(folder.name)) for p in _inside(folder, folders=False)]
    if not rows:
        raise DataError(f"{root}: no pictures; expected <class>/*.png below it")
    return rows


def _split(rows: list[tuple[Path, int]], form: Form) -> Split:
    import numpy as np

    images = Decoded(len(rows), form[:3], np.uint8, partial(_row, rows, form))
    return Split({"images": images}, np.array([label for _, label in rows], np.int64))


def _row(rows: list[tuple[Path, int]], form: Form, i: int) -> np.ndarray[Any, Any]:
    path = rows[i][0]
    return decode(path, str(path), form)
