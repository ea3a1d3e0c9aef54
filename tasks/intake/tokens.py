"""Texts to rows of tokens, by a tokenizer that is data: the JSON of the library `tokenizers`.

The JSON that is kept carries the row's length, its padding and its truncation, so that whoever reads it, training or
serving, makes the very same rows. Shapes: N = texts, L = tokens a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.core.errors import DataError
from tasks.core.hub import checkpoint_folder
from tasks.core.preprocess import TOKENIZER

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Array = np.ndarray[Any, Any]
PADDING = ("[PAD]", "<pad>", "<|padding|>", "<|endoftext|>")
BLOCK = 4096


def read_tokenizer(name: str, revision: str | None, length: int) -> Tokenizer:
    """The tokenizer of a tokenizer.json, or of a checkpoint (see tasks.core.hub), set to rows of `length` tokens.

    Raises DataError when it is missing, damaged, or knows no token to pad with.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise DataError(
            "text needs the package tokenizers, which is not installed; `pip install 'stillroom[text]'`"
        ) from None
    path = Path(name).expanduser()
    if path.suffix != ".json":
        path = checkpoint_folder(name, revision, DataError) / TOKENIZER
    try:
        tokenizer = Tokenizer.from_buffer(path.read_bytes())
    except OSError as e:
        raise DataError(f"tokenizer {path}: cannot be read ({e.strerror})") from None
    except ValueError as e:
        raise DataError(f"tokenizer {path}: not a tokenizer of the library tokenizers ({e})") from None
    with_special = tokenizer.num_special_tokens_to_add(is_pair=False)
    if length <= with_special:
        raise DataError(
            f"length: {length} tokens; the tokenizer itself adds {with_special} to every text, so allowed: "
            f"{with_special + 1} or more"
        )
    set_length(tokenizer, length, str(path))
    return tokenizer


def set_length(tokenizer: Tokenizer, length: int, where: str) -> None:
    """Cut and pad every row to `length`, with the tokenizer's own padding where it has one, in place."""
    padding = tokenizer.padding or {}
    token = padding.get("pad_token") or next((t for t in PADDING if tokenizer.token_to_id(t) is not None), None)
    number = None if token is None else tokenizer.token_to_id(token)
    if token is None or number is None:
        raise DataError(f"tokenizer {where}: it has no token to pad with; allowed: one of {', '.join(PADDING)}")
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(
        length=length, pad_id=number, pad_token=token, direction="right", pad_type_id=padding.get("pad_type_id", 0)
    )


def vocabulary(tokenizer: Tokenizer) -> int:
    """One more than the greatest token id, added tokens included."""
    return max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1


def encode(tokenizer: Tokenizer, texts: Sequence[str], length: int) -> tuple[Array, Array]:
    """`input_ids` (N, L) int32 and `attention_mask` (N, L) int8 of all texts."""
    ids_NL, mask_NL = np.empty((len(texts), length), np.int32), np.empty((len(texts), length), np.int8)
    for start in range(0, len(texts), BLOCK):
        found = tokenizer.encode_batch(texts[start : start + BLOCK])
        rows = slice(start, start + len(found))
        ids_NL[rows] = [one.ids for one in found]
        mask_NL[rows] = [one.attention_mask for one in found]
    return ids_NL, mask_NL


class Widened:
    """Small whole numbers in memory that read as int64, which networks of text take."""

    dtype = np.dtype(np.int64)

    def __init__(self, rows: Array) -> None:
        self._rows = rows
        self.shape: tuple[int, ...] = rows.shape

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: Any) -> Array:
        found: Array = self._rows[rows].astype(np.int64)
        return found
