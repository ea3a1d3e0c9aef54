"""The data set on disk: memory-mapped arrays, one folder a split, and data.json beside them."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core.arrays import batches
from tasks.core.artifact import read_json, write_json
from tasks.core.contract import Data, Rows, Split
from tasks.core.errors import ArtifactError
from tasks.core.frozen import Frozen
from tasks.core.preprocess import Preprocess

Array = np.ndarray[Any, Any]
SPLITS = ("train", "calibration", "val", "test")
TAKEN = {*SPLITS, "data.json", "validation.json", "validation.html"}
BLOCK_BYTES = 1 << 24


class About(Frozen):
    """data.json: what the arrays beside it are."""

    inputs: tuple[str, ...]
    classes: tuple[str, ...]
    groups: tuple[str, ...]
    rows: dict[str, int]
    preprocess: Preprocess
    files: tuple[str, ...] = ()


def block_rows(split: Split) -> int:
    """How many rows of all inputs together take about 16 MiB; at least one."""
    return max(1, BLOCK_BYTES // max(1, sum(v.dtype.itemsize * prod(v.shape[1:]) for v in split.inputs.values())))


def write_data(folder: Path, data: Data, *, block: int | None = None) -> None:
    """Write `data` under `folder`, `block` rows (None: about 16 MiB) at a time, so that memory need not hold it."""
    rows: dict[str, int] = {}
    for name in SPLITS:
        split = data.split(name)
        rows[name] = len(split)
        (folder / name).mkdir(parents=True, exist_ok=True)
        _write_inputs(folder / name, split, block or block_rows(split))
        np.save(folder / name / "labels.npy", split.labels.astype(np.int64), allow_pickle=False)
        if split.groups is not None:
            np.save(folder / name / "groups.npy", split.groups.astype(np.int64), allow_pickle=False)
    about = About(
        inputs=tuple(data.train.inputs),
        classes=tuple(data.classes),
        groups=tuple(data.group_names),
        rows=rows,
        preprocess=data.preprocess,
        files=tuple(sorted(data.files)),
    )
    for name, content in data.files.items():
        assert Path(name).name == name and name not in TAKEN, f"{name!r} is no plain file name, or is taken"
        (folder / name).write_bytes(content)
    write_json(folder / "data.json", about)


def _write_inputs(folder: Path, split: Split, block: int) -> None:
    files = {
        key: np.lib.format.open_memmap(folder / f"{key}.npy", "w+", values.dtype, values.shape)
        for key, values in split.inputs.items()
    }
    start = 0
    for inputs, labels in batches(split, block):
        for key, values in inputs.items():
            files[key][start : start + len(labels)] = values
        start += len(labels)
    for out in files.values():
        out.flush()


def read_data(folder: Path) -> Data:
    """The data set that `write_data` wrote, memory-mapped; ArtifactError when it is not there or damaged."""
    about = read_json(folder / "data.json", About)
    splits = {name: _read_split(folder / name, about, about.rows[name]) for name in SPLITS}
    return Data(
        **splits,
        classes=about.classes,
        preprocess=about.preprocess,
        group_names=about.groups,
        files={name: _bytes(folder / name) for name in about.files},
    )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise ArtifactError(f"{path}: cannot be read ({e}); run `prepare` again") from None


def _read_split(folder: Path, about: About, rows: int) -> Split:
    inputs: dict[str, Rows] = {key: _open(folder / f"{key}.npy", rows) for key in about.inputs}
    groups = folder / "groups.npy"
    # Labels and groups are small: a copy in memory, so that nobody changes the file through them.
    found = np.array(_open(groups, rows)) if groups.exists() else None
    return Split(inputs, np.array(_open(folder / "labels.npy", rows)), found)


def _open(path: Path, rows: int) -> Array:
    try:
        found: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as e:
        raise ArtifactError(f"{path}: cannot be read ({e}); run `prepare` again") from None
    if len(found) != rows:
        raise ArtifactError(f"{path}: {len(found)} rows, data.json says {rows}; run `prepare` again")
    return found
