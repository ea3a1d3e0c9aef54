"""A table in one delimited text file with a header line: columns of numbers, and one that holds the class.

Use when: the data are measurements. `label` may hold words or whole numbers; classes count in their order. A `group`
column is what fairness is measured over; a `split` column says train, val or test. All other columns are features, in
the file's order, unless `features` names them. A column of words is an error unless it stands in `one_hot`: then it
becomes one feature of 0 or 1 for each of the values in train, in their order. Lines count from 1, the header's.
Shapes: features (N, F) float32. A client of the service sends these F numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from tasks.core.contract import Data, Split
from tasks.core.errors import DataError
from tasks.core.preprocess import Preprocess
from tasks.intake.split_names import SPLIT_OF, splits_by_name

if TYPE_CHECKING:
    import numpy as np

    from tasks.intake.delimited import Words

Column = Annotated[str, Field(min_length=1, description="a column's name")]
Columns = tuple[Column, ...]
KINDS_MAX = 1000


def load(
    *,
    path: Annotated[str, Field(min_length=1, description="the file")],
    label: Column = "label",
    features: Annotated[Columns, Field(description="empty: every column that is nothing else")] = (),
    one_hot: Annotated[Columns, Field(description="those of the features that hold words, or numbers of kinds")] = (),
    group: Annotated[Column | None, Field(description="the column of the group")] = None,
    split: Annotated[Column | None, Field(description="the column of the split; null: all is train")] = None,
    delimiter: Annotated[str, Field(min_length=1, max_length=1, description="a tab: double quotes, \\t")] = ",",
    class_names: Annotated[tuple[str, ...], Field(description="in order; empty: those in train, sorted")] = (),
) -> Data:
    """Read the whole file, once; the numbers are held as float32."""
    from tasks.intake.delimited import DelimitedTable

    table = DelimitedTable(Path(path), delimiter)
    special = tuple(c for c in (label, group, split) if c is not None)
    table.require(*special, *features, *one_hot)
    wanted = features or tuple(c for c in table.columns if c not in special)
    _require_one_use(path, special, wanted, one_hot)
    numeric = tuple(c for c in wanted if c not in one_hot)
    numbers_NF, words = table.read(numeric, (*special, *one_hot))
    rows_of = _rows_of(words, split)
    train = rows_of["train"].tolist()
    features_NF = _features(numbers_NF, numeric, words, {c: words.names(c, train) for c in one_hot}, wanted)
    classes = class_names or words.names(label, train)
    labels = words.ids(label, classes)
    group_names = words.names(group, range(len(labels))) if group else ()
    groups = words.ids(group, group_names) if group else None
    splits = {
        name: Split({"features": features_NF[rows]}, labels[rows], None if groups is None else groups[rows])
        for name, rows in rows_of.items()
    }
    val, test = splits.get("val"), splits.get("test")
    return Data(splits["train"], classes, Preprocess(kind="array"), val=val, test=test, group_names=group_names)


def _require_one_use(path: str, special: Columns, wanted: Columns, one_hot: Columns) -> None:
    """DataError when a column has two uses, or there is no feature."""
    for uses in ((*special, *wanted), one_hot):
        for c in uses:
            if uses.count(c) > 1:
                raise DataError(f"{path}: column {c!r} is used twice among label, group, split, features and one_hot")
    for c in one_hot:
        if c not in wanted:
            raise DataError(f"{path}: column {c!r} stands in one_hot; it is no feature")
    if not wanted:
        raise DataError(f"{path}: no feature column beside {', '.join(special)}")


def _rows_of(words: Words, column: str | None) -> dict[str, np.ndarray[Any, Any]]:
    """The row numbers of every split that the split column names; all are train without one."""
    import numpy as np

    if column is None:
        return {"train": np.arange(len(words.lines))}
    ids = words.ids(column, tuple(SPLIT_OF))  # names the line of a word that is no split
    found = [list(SPLIT_OF)[i] for i in np.unique(ids)]
    by_name = splits_by_name(found, f"{words.path}: column {column!r}")
    return {name: np.flatnonzero(ids == list(SPLIT_OF).index(word)) for name, word in by_name.items()}


def _features(
    numbers_NF: np.ndarray[Any, Any],
    numeric: Columns,
    words: Words,
    kinds: dict[str, tuple[str, ...]],
    wanted: Columns,
) -> np.ndarray[Any, Any]:
    """(N, F) float32: the columns in the order wanted, each column of `kinds` as one of 0 and 1 a kind."""
    import numpy as np

    columns = {c: numbers_NF[:, i : i + 1] for i, c in enumerate(numeric)}
    for c, names in kinds.items():
        if len(names) > KINDS_MAX:
            raise DataError(f"{words.path}: column {c!r} has {len(names)} different values; one_hot allows {KINDS_MAX}")
        columns[c] = np.eye(len(names), dtype=np.float32)[words.ids(c, names)]
    return np.concatenate([columns[c] for c in wanted], axis=1)
