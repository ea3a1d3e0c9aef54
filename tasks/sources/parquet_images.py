"""Pictures in parquet files, in the layout of Hugging Face data sets.

Use when: the data come from the Hugging Face hub (`image: {bytes, path}`, `label: int`), or are too many for files.
Pictures are decoded when asked for, one row group in memory at a time, so the data may be larger than memory.
Files: one file (all `train`), or a folder whose parquet files carry the split in their name (`train.parquet`,
`validation-00000-of-00002.parquet`) or in their folder's. Class names come from the schema's Hugging Face metadata.
A path in place of a picture's bytes counts from the folder of its parquet file.
Shapes: images (N, C, H, W) uint8.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from tasks.core.arrays import Decoded
from tasks.core.contract import Data, Split
from tasks.core.errors import DataError
from tasks.core.preprocess import Preprocess
from tasks.intake.parquet import ParquetTable, labels_of, split_tables
from tasks.intake.pictures import Channels, Form, Size, decode, form_of

IMAGE_COLUMNS = ("image", "img")
Column = Annotated[str, Field(min_length=1, description="a column's name")]


def load(
    *,
    path: Annotated[str, Field(min_length=1, description="a parquet file, or a folder of them")],
    image: Annotated[Column | None, Field(description="the pictures; null: `image` or `img`")] = None,
    label: Column = "label",
    class_names: Annotated[tuple[str, ...], Field(description="empty: from the file, or the numbers")] = (),
    channels: Channels = 3,
    size: Size = None,
) -> Data:
    """Read the labels and the first picture; the rest when asked for."""
    tables = split_tables(Path(path))
    train = tables["train"]
    image = image or next((c for c in IMAGE_COLUMNS if c in train.columns), IMAGE_COLUMNS[0])
    for table in tables.values():
        table.require(image, label)
    names, ids = labels_of(tables, label, class_names)
    form = form_of(_picture(train, image, 0), train.place(0), channels, size)
    splits = {name: Split({"images": _decoded(table, image, form)}, ids[name]) for name, table in tables.items()}
    about = Preprocess(kind="image", channels=channels, height=form.height, width=form.width)
    return Data(splits["train"], names, about, val=splits.get("val"), test=splits.get("test"))


def _decoded(table: ParquetTable, image: str, form: Form) -> Decoded:
    """All pictures as (N, C, H, W), decoded when asked for."""
    return Decoded(len(table), form[:3], "uint8", lambda i: decode(_picture(table, image, i), table.place(i), form))


def _picture(table: ParquetTable, image: str, i: int) -> bytes | Path:
    """Row i's picture: its bytes, or where its file lies; DataError when it has neither."""
    cell, file = table.cell(image, i)
    found = (cell.get("bytes") or cell.get("path")) if isinstance(cell, dict) else cell
    if not isinstance(found, bytes | str) or not found:
        raise DataError(f"{table.place(i)}: no picture in column {image!r}; expected bytes or a path")
    return found if isinstance(found, bytes) else file.parent / found
