"""Rows that are not in memory: views, decoded on demand, and the memory-mapped data set on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core.contract import Data, Preprocess, Rows, Split
from tasks.core.errors import ArtifactError

Array = np.ndarray[Any, Any]
SPLITS = ("train", "calibration", "val", "test")


class Picked:
    """Some rows of another array, by index; nothing is read until they are asked for."""

    def __init__(self, rows: Rows, index: Array) -> None:
        self._rows, self._index = rows, index
        self.shape: tuple[int, ...] = (len(index), *rows.shape[1:])
        self.dtype = rows.dtype

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, rows: Any) -> Array:
        return self._rows[self._index[rows]]


class Decoded:
    """N rows that `decode(i) -> (*row)` makes one at a time, for instance from picture files."""

    def __init__(self, n: int, row: tuple[int, ...], dtype: Any, decode: Callable[[int], Array]) -> None:
        self.shape: tuple[int, ...] = (n, *row)
        self.dtype = np.dtype(dtype)
        self._decode = decode

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Array:
        index = np.arange(len(self))[rows]
        out = np.empty((len(index), *self.shape[1:]), self.dtype)
        for k, i in enumerate(index):
            out[k] = self._decode(int(i))
        return out


def pick(split: Split, index: Array) -> Split:
    """The rows `index` of a split, as a view."""
    groups = None if split.groups is None else split.groups[index]
    return Split({k: Picked(v, index) for k, v in split.inputs.items()}, split.labels[index], groups)


def batches(split: Split, size: int) -> Iterator[tuple[dict[str, Array], Array]]:
    """The split in order, `size` rows at a time: (inputs, labels). The last batch may be smaller."""
    for start in range(0, len(split), size):
        rows = slice(start, start + size)
        yield {k: np.ascontiguousarray(v[rows]) for k, v in split.inputs.items()}, split.labels[rows]


def write_data(folder: Path, data: Data, *, block: int = 1024) -> None:
    """Write `data` under `folder` in blocks of rows, so that it may be larger than memory."""
    rows: dict[str, int] = {}
    for name in SPLITS:
        split = data.split(name)
        rows[name] = len(split)
        (folder / name).mkdir(parents=True, exist_ok=True)
        for key, values in split.inputs.items():
            out = np.lib.format.open_memmap(folder / name / f"{key}.npy", "w+", values.dtype, values.shape)
            for start in range(0, len(split), block):
                out[start : start + block] = values[slice(start, start + block)]
            out.flush()
        np.save(folder / name / "labels.npy", split.labels.astype(np.int64))
        if split.groups is not None:
            np.save(folder / name / "groups.npy", split.groups.astype(np.int64))
    about = {
        "inputs": list(data.train.inputs),
        "classes": list(data.classes),
        "groups": list(data.group_names),
        "rows": rows,
        "preprocess": data.preprocess.model_dump(mode="json"),
    }
    (folder / "data.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def read_data(folder: Path) -> Data:
    """The data set that `write_data` wrote, memory-mapped; ArtifactError when it is not there."""
    try:
        about: Mapping[str, Any] = json.loads((folder / "data.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(
            f"{folder}: no prepared data; `stillroom run` (or `python -m tasks prepare`) makes it"
        ) from None
    splits = {}
    for name in SPLITS:
        inputs = {key: np.load(folder / name / f"{key}.npy", mmap_mode="r") for key in about["inputs"]}
        groups = folder / name / "groups.npy"
        splits[name] = Split(
            inputs, np.load(folder / name / "labels.npy"), np.load(groups) if groups.exists() else None
        )
    return Data(
        **splits,
        classes=tuple(about["classes"]),
        preprocess=Preprocess.model_validate(about["preprocess"]),
        group_names=tuple(about["groups"]),
    )
