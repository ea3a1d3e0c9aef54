"""Texts in parquet files, in the layout of Hugging Face data sets.

Use when: the data come from the Hugging Face hub with a column of text (`sentence: str`, `label: int`).
Files: one file (all `train`), or a folder whose parquet files carry the split in their name (`train.parquet`,
`validation-00000-of-00002.parquet`) or in their folder's. Class names come from the schema's Hugging Face metadata.
Every text becomes `length` tokens: longer ones are cut, shorter ones padded; the tokenizer goes with the data.
Take the tokenizer of the checkpoint that is trained, or of the one that a student learns from.
Shapes: input_ids and attention_mask (N, length) int64.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from tasks.core.contract import Data, Split
from tasks.core.errors import DataError
from tasks.core.preprocess import TEXT_INPUTS, TOKENIZER, Preprocess
from tasks.intake.parquet import ParquetTable, labels_of, split_tables

TEXT_COLUMNS = ("sentence", "text")
Column = Annotated[str, Field(min_length=1, description="a column's name")]


def load(
    *,
    path: Annotated[str, Field(min_length=1, description="a parquet file, or a folder of them")],
    tokenizer: Annotated[
        str, Field(min_length=1, description="a tokenizer.json; or a folder, installed package or hub name with one")
    ],
    revision: Annotated[str | None, Field(description="of a tokenizer of the hub: its commit, 40 hex digits")] = None,
    text: Annotated[Column | None, Field(description="the texts; null: `sentence` or `text`")] = None,
    label: Column = "label",
    length: Annotated[int, Field(ge=2, le=8192, description="tokens a row; what is longer is cut")] = 64,
    class_names: Annotated[tuple[str, ...], Field(description="empty: from the file, or the numbers")] = (),
) -> Data:
    """Read and tokenize all texts: five bytes a token are held in memory."""
    from tasks.intake.tokens import Widened, encode, read_tokenizer, vocabulary

    tables = split_tables(Path(path))
    column = text or next((c for c in TEXT_COLUMNS if c in tables["train"].columns), TEXT_COLUMNS[0])
    for table in tables.values():
        table.require(column, label)
    names, ids = labels_of(tables, label, class_names)
    chosen = read_tokenizer(tokenizer, revision, length)
    splits = {}
    for name, table in tables.items():
        rows = encode(chosen, _texts(table, column), length)
        inputs = dict(zip(TEXT_INPUTS, map(Widened, rows), strict=True))
        splits[name] = Split(inputs, ids[name])
    about = Preprocess(kind="text", length=length, vocab=vocabulary(chosen))
    files = {TOKENIZER: chosen.to_str().encode()}
    return Data(splits["train"], names, about, val=splits.get("val"), test=splits.get("test"), files=files)


def _texts(table: ParquetTable, column: str) -> list[str]:
    """A column of text; DataError with the first row that holds something else, or nothing."""
    found: list[str] = table.whole(column).tolist()
    odd = next((i for i, value in enumerate(found) if not isinstance(value, str)), None)
    if odd is not None:
        raise DataError(f"{table.place(odd)}: column {column!r} holds {type(found[odd]).__name__}; allowed: text")
    return found
