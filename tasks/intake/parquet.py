"""Parquet files in the layout of Hugging Face data sets: as one table a split, one row group of one column at a time.

One file is all `train`; in a folder, a file carries its split in its name (`validation-00000-of-00002.parquet`) or in
its folder's.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.core.errors import DataError, nearest
from tasks.intake.labels import class_count, class_ids

if TYPE_CHECKING:
    import numpy as np

SPLIT_OF = {"train": "train", "validation": "val", "valid": "val", "val": "val", "dev": "val", "test": "test"}


class ParquetTable:
    """The rows of `paths`, one file after the other; DataError when one cannot be read, or there are no rows."""

    def __init__(self, paths: Sequence[Path]) -> None:
        from pyarrow.parquet import ParquetFile

        self.where = str(paths[0]) + (f" .. {paths[-1].name}" if len(paths) > 1 else "")
        self._paths, self._files = paths, []
        for path in paths:
            with _readable(f"{path}: the parquet file"):
                self._files.append(ParquetFile(path, memory_map=True))
        self._groups = [(f, g) for f, file in enumerate(self._files) for g in range(file.metadata.num_row_groups)]
        self._starts = [0, *accumulate(self._files[f].metadata.row_group(g).num_rows for f, g in self._groups)]
        self._file_starts: list[int] = [0, *accumulate(file.metadata.num_rows for file in self._files)]
        self._held: tuple[int, str, Any] = (-1, "", None)
        self.columns: tuple[str, ...] = tuple(self._files[0].schema_arrow.names)
        if not len(self):
            raise DataError(f"{self.where}: no rows")

    def __len__(self) -> int:
        return self._file_starts[-1]

    def require(self, *columns: str) -> None:
        """DataError when a file lacks one of `columns`."""
        for path, file in zip(self._paths, self._files, strict=True):
            there = file.schema_arrow.names
            for name in columns:
                if name not in there:
                    raise DataError(f"{path}: no column {name!r}{nearest(name, there)} (it has {', '.join(there)})")

    def whole(self, column: str) -> np.ndarray[Any, Any]:
        """A column (N,) in memory; DataError when a cell of it is null."""
        import numpy as np

        parts = []
        for f, file in enumerate(self._files):
            found = self._read(f, range(file.metadata.num_row_groups), column)
            if found.null_count:
                row = found.is_null().to_pylist().index(True)
                raise DataError(f"{self._paths[f]}: row {row}: nothing in column {column!r}")
            parts.append(found.to_numpy())
        return np.concatenate(parts)

    def cell(self, column: str, i: int) -> tuple[Any, Path]:
        """The value in row i as plain Python, and its file."""
        k = bisect_right(self._starts, i) - 1
        f, g = self._groups[k]
        if self._held[:2] != (k, column):
            self._held = (-1, "", None)  # let go of one row group before the next is read
            self._held = (k, column, self._read(f, [g], column))
        return self._held[2][i - self._starts[k]].as_py(), self._paths[f]

    def place(self, i: int) -> str:
        """Row i for messages: its file and its number there, from 0."""
        f = bisect_right(self._file_starts, i) - 1
        return f"{self._paths[f]}: row {i - self._file_starts[f]}"

    def class_names(self, column: str) -> tuple[str, ...]:
        """Class names that Hugging Face `datasets` left in the schema; empty when there are none."""
        about = json.loads((self._files[0].schema_arrow.metadata or {}).get(b"huggingface", b"{}"))
        return tuple(about.get("info", {}).get("features", {}).get(column, {}).get("names") or ())

    def _read(self, f: int, groups: Iterable[int], column: str) -> Any:
        with _readable(f"{self._paths[f]}: column {column!r}"):
            return self._files[f].read_row_groups(list(groups), columns=[column], use_threads=False).column(column)


@contextmanager
def _readable(what: str) -> Iterator[None]:
    from pyarrow import ArrowException

    try:
        yield
    except (OSError, ArrowException) as e:
        raise DataError(f"{what} cannot be read ({e})") from None


def split_tables(path: Path) -> dict[str, ParquetTable]:
    """The table of each split of a file or folder; DataError when there is no `train`, or a file cannot be read."""
    return {name: ParquetTable(files) for name, files in _files(path).items()}


def labels_of(
    tables: Mapping[str, ParquetTable], column: str, class_names: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, np.ndarray[Any, Any]]]:
    """The class names (given, from the file, or numbers) and each split's class ids; DataError for an unfit label."""
    found = {name: table.whole(column) for name, table in tables.items()}
    train = tables["train"]
    names = tuple(class_names) or train.class_names(column) or tuple(str(i) for i in range(class_count(found["train"])))
    where = {name: f"{table.where}: column {column!r}" for name, table in tables.items()}
    return names, {name: class_ids(labels, len(names), where[name]) for name, labels in found.items()}


def _files(path: Path) -> dict[str, list[Path]]:
    """Split name -> its parquet files in order; DataError when `train` has none or a file belongs to no split."""
    if path.is_file():
        return {"train": [path]}
    if not path.is_dir():
        raise DataError(f"{path}: there is no such file or folder")
    found: dict[str, list[Path]] = {}
    for file in sorted(path.rglob("*.parquet")):
        words = (re.split(r"[-_.]", file.name)[0], *(p.name for p in file.relative_to(path).parents))
        split = next((SPLIT_OF[w] for w in words if w in SPLIT_OF), None)
        if split is None:
            raise DataError(f"{file}: no split in its name; it should begin with one of {', '.join(SPLIT_OF)}")
        found.setdefault(split, []).append(file)
    if "train" not in found:
        raise DataError(f"{path}: no train*.parquet (found: {', '.join(found) or 'no parquet file'})")
    return found
