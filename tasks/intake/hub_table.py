"""The splits of a Hugging Face data set, and what their columns hold by the data set's own features.

Shapes: N = rows, F = features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.core.contract import Data, Rows, Split
from tasks.core.errors import DataError, nearest
from tasks.core.preprocess import Preprocess
from tasks.intake.labels import class_count, class_ids

if TYPE_CHECKING:
    import numpy as np

NUMBERS = ("int", "uint", "float", "double", "bool")


def kind_of(feature: Any) -> str:
    """`image`, `text`, `array` (a number, or a list of numbers), `class`, or the feature's own name."""
    name = type(feature).__name__
    if name == "Value":
        return "text" if "string" in feature.dtype else "array" if feature.dtype.startswith(NUMBERS) else feature.dtype
    if name in ("List", "LargeList", "Sequence"):
        return kind_of(feature.feature) if kind_of(feature.feature) == "array" else "list"
    if name.startswith("Array"):
        return "array"
    return {"Image": "image", "ClassLabel": "class"}.get(name, name)


class HubTable:
    """The rows of one split; `where` names it in messages. DataError when it has none."""

    def __init__(self, where: str, rows: Any) -> None:
        self.where, self.rows = where, rows
        self.features: Mapping[str, Any] = rows.features
        for name in [name for name, feature in self.features.items() if kind_of(feature) == "image"]:
            self.rows = self.rows.cast_column(name, type(self.features[name])(decode=False))
        if not len(rows):
            raise DataError(f"{where}: no rows")

    def __len__(self) -> int:
        return len(self.rows)

    def place(self, i: int) -> str:
        """Row i for messages, from 0."""
        return f"{self.where}: row {i}"

    def column(self, name: str) -> list[Any]:
        """All cells; DataError with the first row that has none."""
        cells: list[Any] = self.rows.data.column(name).to_pylist() if self.rows._indices is None else self.rows[name][:]
        empty = next((i for i, cell in enumerate(cells) if cell is None), None)
        if empty is not None:
            raise DataError(f"{self.place(empty)}: nothing in column {name!r}")
        return cells

    def picture(self, column: str, i: int) -> bytes | Path:
        """Row i's picture: its bytes, or where its file lies."""
        cell = self.rows[i][column] or {}
        if not (cell.get("bytes") or cell.get("path")):
            raise DataError(f"{self.place(i)}: no picture in column {column!r}")
        return cell.get("bytes") or Path(cell["path"])

    def texts(self, column: str) -> list[str]:
        """A column of texts."""
        return self.column(column)

    def numbers(self, columns: Sequence[str]) -> np.ndarray[Any, Any]:
        """(N, F) float32: the columns side by side, lists laid flat; DataError when they differ in length."""
        import numpy as np

        parts = []
        for name in columns:
            try:
                cells = np.asarray(self.column(name), np.float32)
            except (ValueError, TypeError):
                raise DataError(f"{self.where}: column {name!r}: lists of different lengths, or gaps in them") from None
            parts.append(cells.reshape(len(self), -1))
        return np.concatenate(parts, axis=1)


@dataclass(frozen=True)
class HubData:
    """A table for each of our splits; `where` names the data set."""

    where: str
    tables: Mapping[str, HubTable]

    def of_kind(self, kind: str, label: str) -> tuple[str, ...]:
        """The columns of train that hold `kind`, less the label."""
        features = self.tables["train"].features
        return tuple(n for n, feature in features.items() if n != label and kind_of(feature) == kind)

    def described(self) -> str:
        """The columns of train and what they hold."""
        return ", ".join(f"{name}: {kind_of(feature)}" for name, feature in self.tables["train"].features.items())

    def require(self, columns: Sequence[str], *kinds: str) -> None:
        """DataError when a split lacks one of `columns`, or it holds something else than one of `kinds`."""
        for table in self.tables.values():
            for name in columns:
                if name not in table.features:
                    near = nearest(name, table.features)
                    raise DataError(f"{table.where}: no column {name!r}{near} (it has {', '.join(table.features)})")
                if (found := kind_of(table.features[name])) not in kinds:
                    raise DataError(f"{table.where}: column {name!r} holds {found}; allowed: {' or '.join(kinds)}")

    def labels(self, column: str) -> tuple[tuple[str, ...], dict[str, np.ndarray[Any, Any]]]:
        """The class names, and each split's class ids (N,) int64."""
        import numpy as np

        from tasks.intake.named_ids import ids_of, sorted_names

        self.require((column,), "class", "array", "text")
        feature = self.tables["train"].features[column]
        cells = {name: table.column(column) for name, table in self.tables.items()}
        if kind_of(feature) == "text":
            names = sorted_names(cells["train"])
            return names, {n: ids_of(found, names, self.tables[n].place) for n, found in cells.items()}
        arrays = {name: np.asarray(found) for name, found in cells.items()}
        given = tuple(feature.names) if kind_of(feature) == "class" else None
        names = given or tuple(str(i) for i in range(class_count(arrays["train"])))
        return names, {n: class_ids(ids, len(names), self.tables[n].where) for n, ids in arrays.items()}

    def data(
        self,
        inputs: Mapping[str, Mapping[str, Rows]],
        ids: Mapping[str, np.ndarray[Any, Any]],
        classes: tuple[str, ...],
        about: Preprocess,
        files: Mapping[str, bytes],
    ) -> Data:
        """All splits together."""
        made = {name: Split(inputs[name], ids[name]) for name in self.tables}
        return Data(made["train"], classes, about, val=made.get("val"), test=made.get("test"), files=files)
