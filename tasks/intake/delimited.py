"""A delimited text file with a header line, read a block of lines at a time into columns of numbers and of words."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core.errors import DataError, nearest
from tasks.intake.named_ids import ids_of, sorted_names

BLOCK_ROWS = 8192
Array = np.ndarray[Any, Any]
Record = tuple[int, list[str]]


def _place(path: Path, line: int, column: str) -> str:
    """A cell, for messages."""
    return f"{path}: line {line}, column {column!r}"


@dataclass(frozen=True)
class Words:
    """Columns of N words by name, and the line of the file that each row stands in."""

    path: Path
    columns: Mapping[str, list[str]]
    lines: list[int]

    def names(self, column: str, rows: Iterable[int]) -> tuple[str, ...]:
        """The different words in some rows of a column, in order: see `sorted_names`."""
        words = self.columns[column]
        return sorted_names({words[row] for row in rows})

    def ids(self, column: str, names: Sequence[str]) -> Array:
        """(N,) int64: where each word stands in `names`; DataError, naming the line, when it does not."""
        return ids_of(self.columns[column], names, lambda row: _place(self.path, self.lines[row], column))


class DelimitedTable:
    """The file at `path`; DataError, naming the file and the line, where it is not what it should be."""

    def __init__(self, path: Path, delimiter: str) -> None:
        self._path, self._delimiter = path, delimiter
        _, header = next(self._records(), (1, []))
        self.columns = tuple(name.strip() for name in header)
        if not any(self.columns):
            raise DataError(f"{path}: empty; a header line with the columns' names is needed")
        for name in self.columns:
            if not name or self.columns.count(name) > 1:
                fault = f"{name!r} stands twice" if name else "is empty"
                raise DataError(f"{path}: line 1: a column's name {fault}")

    def require(self, *columns: str) -> None:
        """DataError when one of `columns` is not in the header."""
        for name in columns:
            if name not in self.columns:
                found = ", ".join(self.columns)
                raise DataError(f"{self._path}: no column {name!r}{nearest(name, self.columns)} (it has {found})")

    def read(self, numeric: Sequence[str], words: Sequence[str]) -> tuple[Array, Words]:
        """The numeric columns (N, F) float32, and the others as words; of both at least one row."""
        at = [self.columns.index(name) for name in numeric]
        named = [(name, self.columns.index(name)) for name in words]
        text: dict[str, list[str]] = {name: [] for name in words}
        lines: list[int] = []
        parts: list[Array] = []
        for block in self._blocks():
            parts.append(self._numbers(block, at))
            lines += [line for line, _ in block]
            for name, column in named:
                text[name] += [self._word(line, name, cells[column]) for line, cells in block]
        if not lines:
            raise DataError(f"{self._path}: no rows below the header")
        return np.concatenate(parts), Words(self._path, text, lines)

    def _records(self) -> Iterator[Record]:
        """(line number, cells) of every line that is not blank, the header's first."""
        try:
            with self._path.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.reader(file, delimiter=self._delimiter, strict=True)
                try:
                    for cells in reader:
                        if cells:
                            yield reader.line_num, cells
                except csv.Error as e:
                    raise DataError(f"{self._path}: line {reader.line_num}: {e}") from None
                except UnicodeDecodeError as e:
                    raise DataError(
                        f"{self._path}: after line {reader.line_num}: not UTF-8 text ({e.reason})"
                    ) from None
        except FileNotFoundError:
            raise DataError(f"{self._path}: there is no such file") from None
        except OSError as e:
            raise DataError(f"{self._path}: cannot be read ({e.strerror})") from None

    def _blocks(self) -> Iterator[list[Record]]:
        records = self._records()
        next(records)
        block: list[Record] = []
        for line, cells in records:
            if len(cells) != len(self.columns):
                found = f"{len(cells)} cells, the header has {len(self.columns)}"
                raise DataError(f"{self._path}: line {line}: {found}; is {self._delimiter!r} the delimiter?")
            block.append((line, cells))
            if len(block) == BLOCK_ROWS:
                yield block
                block = []
        if block:
            yield block

    def _numbers(self, block: list[Record], at: list[int]) -> Array:
        """(rows, F) float32; what float32 cannot hold becomes infinite, which the data rules catch."""
        try:
            values = [[float(cells[c]) for c in at] for _, cells in block]
        except ValueError:
            raise self._not_a_number(block, at) from None
        with np.errstate(over="ignore"):
            return np.array(values, np.float64).reshape(len(block), len(at)).astype(np.float32)

    def _not_a_number(self, block: list[Record], at: list[int]) -> DataError:
        for line, cells in block:
            for c in at:
                try:
                    float(cells[c])
                except ValueError:
                    where = _place(self._path, line, self.columns[c])
                    if not cells[c].strip():
                        return DataError(f"{where}: empty; a number is needed in every row")
                    return DataError(
                        f"{where}: {cells[c]!r} is not a number; for a column of words, add it to `one_hot`, "
                        f"or leave it out of `features`"
                    )
        raise AssertionError("called only for a block with a bad number")

    def _word(self, line: int, column: str, cell: str) -> str:
        if not (word := cell.strip()):
            raise DataError(f"{_place(self._path, line, column)}: empty; a value is needed in every row")
        return word
