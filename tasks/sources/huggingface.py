"""A data set of the Hugging Face hub, or one on disk, by the library `datasets`: pictures, texts or numbers.

Use when: the data set has a name on the hub, or lies in a folder that `save_to_disk` wrote, or in a folder of parquet
files. What the columns are is told by the data set's own features: `image`, `text` or `features` says which to take,
and may be left out where only one is possible (for texts, give `tokenizer`). Class names are those of the label's
ClassLabel, the words themselves where labels are words, or the numbers.
A data set of the hub needs `revision`, its commit, so that the same plan always means the same rows. It is kept in the
hub's own cache (HF_HOME); no code of a data set is ever run. What `save_to_disk` wrote is read as memory asks for it.
Splits: those called train, validation (or val, valid, dev) and test; others only by `splits: {val: their_name}`.
Shapes: images (N, C, H, W) uint8; input_ids and attention_mask (N, length) int64; or features (N, F) float32.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from tasks.core.arrays import Decoded
from tasks.core.contract import Data, Rows
from tasks.core.errors import DataError
from tasks.core.preprocess import TEXT_INPUTS, TOKENIZER, Preprocess
from tasks.intake.pictures import Channels, Form, Size, decode, form_of

if TYPE_CHECKING:
    import numpy as np

    from tasks.intake.hub_table import HubData, HubTable

Column = Annotated[str, Field(min_length=1, description="a column's name")]
Ours = Literal["train", "val", "test"]


def load(
    *,
    path: Annotated[str, Field(min_length=1, description="a folder, or a data set of the hub, as owner/name")],
    config: Annotated[str | None, Field(description="of a data set of the hub that has several")] = None,
    revision: Annotated[str | None, Field(description="of a data set of the hub: its commit, 40 hex digits")] = None,
    splits: Annotated[dict[Ours, Column] | None, Field(description="our name: theirs; null: the usual names")] = None,
    image: Annotated[Column | None, Field(description="the column of pictures")] = None,
    text: Annotated[Column | None, Field(description="the column of texts")] = None,
    features: Annotated[tuple[Column, ...], Field(description="columns of numbers, or of lists of them")] = (),
    label: Column = "label",
    channels: Channels = 3,
    size: Size = None,
    tokenizer: Annotated[str | None, Field(description="texts: as in parquet_text; one of the hub: a folder")] = None,
    length: Annotated[int, Field(ge=2, le=8192, description="texts: tokens a row; what is longer is cut")] = 64,
) -> Data:
    """Read the labels; pictures are decoded when asked for, texts and numbers are held in memory."""
    from tasks.intake.hub_data import read

    found = read(path, config, revision, splits)
    kind, columns = _columns(found, label, image, text, features, tokenizer)
    classes, ids = found.labels(label)
    files: dict[str, bytes] = {}
    if kind == "image":
        inputs, about = _pictures(found, columns[0], channels, size)
    elif kind == "text":
        inputs, about, files = _texts(found, columns[0], tokenizer, length)
    else:
        inputs = {name: {"features": table.numbers(columns)} for name, table in found.tables.items()}
        about = Preprocess(kind="array")
    return found.data(inputs, ids, classes, about, files)


def _columns(
    found: HubData,
    label: str,
    image: str | None,
    text: str | None,
    features: tuple[str, ...],
    tokenizer: str | None,
) -> tuple[str, tuple[str, ...]]:
    """What the inputs are, and their columns; DataError when that is not clear."""
    asked = {"image": (image,) if image else (), "text": (text,) if text else (), "array": features}
    given = [kind for kind, columns in asked.items() if columns]
    if len(given) > 1:
        raise DataError(f"{found.where}: image, text and features are given; allowed: one of them")
    if given:
        kind, columns = given[0], asked[given[0]]
        found.require(columns, kind)
        return kind, columns
    there = {kind: found.of_kind(kind, label) for kind in asked}
    kind = "image" if there["image"] else "text" if there["text"] and tokenizer else "array"
    columns = there[kind]
    if not columns or (kind != "array" and len(columns) > 1):
        raise DataError(
            f"{found.where}: cannot tell which columns to take ({found.described()}); give `image`, `features`, or "
            "`text` and `tokenizer`"
        )
    return kind, columns


def _pictures(
    found: HubData, column: str, channels: Channels, size: Size
) -> tuple[dict[str, dict[str, Rows]], Preprocess]:
    first = found.tables["train"]
    form = form_of(first.picture(column, 0), first.place(0), channels, size)
    inputs: dict[str, dict[str, Rows]] = {}
    for name, table in found.tables.items():
        inputs[name] = {"images": Decoded(len(table), form[:3], "uint8", partial(_decoded, table, column, form))}
    return inputs, Preprocess(kind="image", channels=channels, height=form.height, width=form.width)


def _decoded(table: HubTable, column: str, form: Form, i: int) -> np.ndarray[Any, Any]:
    return decode(table.picture(column, i), table.place(i), form)


def _texts(
    found: HubData, column: str, tokenizer: str | None, length: int
) -> tuple[dict[str, dict[str, Rows]], Preprocess, dict[str, bytes]]:
    from tasks.intake.tokens import Widened, encode, read_tokenizer, vocabulary

    if tokenizer is None:
        raise DataError(f"{found.where}: texts need `tokenizer`; allowed: a tokenizer.json, or a folder with one")
    chosen = read_tokenizer(tokenizer, None, length)
    inputs: dict[str, dict[str, Rows]] = {}
    for name, table in found.tables.items():
        rows = encode(chosen, table.texts(column), length)
        inputs[name] = dict(zip(TEXT_INPUTS, map(Widened, rows), strict=True))
    about = Preprocess(kind="text", length=length, vocab=vocabulary(chosen))
    return inputs, about, {TOKENIZER: chosen.to_str().encode()}
