"""Files in folders named after their class: <path>/<split>/<class>/*, or <path>/<class>/*, which is all train.

Classes and files count in the order of their names, by spelling, "10" before "2", as torchvision's ImageFolder numbers
them: a network trained on the same folders elsewhere has these ids. Pages and tables show them in order.
What begins with a dot is not looked at; any other stray is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from tasks.core.errors import DataError, nearest

SPLIT_OF = {"train": "train", "val": "val", "validation": "val", "test": "test"}

Noun = Literal["picture", "sound"]
USUAL: dict[Noun, str] = {"picture": ".png", "sound": ".wav"}


class Found(NamedTuple):
    """The class names, and of every split each file with its class id."""

    classes: tuple[str, ...]
    splits: dict[str, list[tuple[Path, int]]]


def find(root: Path, suffixes: Sequence[str], noun: Noun) -> Found:
    """All files with one of `suffixes`; `noun` says what one is. DataError for any other file."""
    roots = _split_folders(root)
    classes = tuple(folder.name for folder in _folders(roots["train"]))
    return Found(classes, {name: _files(folder, classes, suffixes, noun) for name, folder in roots.items()})


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder, by name; DataError when there is something else."""
    found = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    for p in found:
        if not p.is_dir():
            raise DataError(f"{p}: a file where only folders are expected")
    return found


def _split_folders(root: Path) -> dict[str, Path]:
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder")
    if not (root / "train").is_dir():
        return {"train": root}
    roots: dict[str, Path] = {}
    for folder in _folders(root):
        if folder.name not in SPLIT_OF:
            raise DataError(f"{folder}: not a split{nearest(folder.name, SPLIT_OF)} (allowed: {', '.join(SPLIT_OF)})")
        if SPLIT_OF[folder.name] in roots:
            raise DataError(f"{root}: both `val` and `validation`; keep one")
        roots[SPLIT_OF[folder.name]] = folder
    return roots


def _files(root: Path, classes: tuple[str, ...], suffixes: Sequence[str], noun: Noun) -> list[tuple[Path, int]]:
    """Every file under a split's folder with its class id, in the order of the names."""
    rows = []
    for folder in _folders(root):
        if folder.name not in classes:
            raise DataError(f"{folder}: no class of that name in train{nearest(folder.name, classes)}")
        for p in sorted(p for p in folder.iterdir() if not p.name.startswith(".")):
            if p.is_dir() or p.suffix.lower() not in suffixes:
                raise DataError(f"{p}: not a {noun} file; allowed: {' '.join(suffixes)}")
            rows.append((p, classes.index(folder.name)))
    if not rows:
        raise DataError(f"{root}: no {noun}s; expected <class>/*{USUAL[noun]} below it")
    return rows
