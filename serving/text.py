"""A client's text as the network's arrays: the tokenizer that the training data went through, out of the package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from serving.package import TOKENIZER, Package, PackageError
from serving.refusal import Refused, kind_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TEXT_KEY = "text"
CHARACTERS_MAX = 100_000  # of one text: what is cut off in the end is still read first
TEXT_INPUTS = ("input_ids", "attention_mask")


class Tokens:
    """The tokenizer of a text package, loaded and tried once; PackageError when it does not fit the network."""

    def __init__(self, package: Package) -> None:
        about, where = package.preprocess, package.folder / TOKENIZER
        wanted = {name: ((about.length,), "int64") for name in TEXT_INPUTS}
        if (found := {name: (given.shape, given.dtype) for name, given in about.inputs.items()}) != wanted:
            raise PackageError(f"{package.folder / 'preprocess.json'}: inputs {found}; a text has {wanted}")
        self._tokenizer = _loaded(package)
        largest = max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
        if largest >= about.vocab:
            raise PackageError(f"{where}: gives ids up to {largest}; preprocess.json allows ids below {about.vocab}")
        for text in ("a", "a " * (about.length + 1)):  # padding and cutting are the tokenizer's own, as in training
            if (length := len(self._tokenizer.encode(text).ids)) != about.length:
                raise PackageError(f"{where}: makes {length} tokens of a text; preprocess.json says {about.length}")

    def rows(self, texts: Sequence[str]) -> dict[str, np.ndarray[Any, Any]]:
        """`input_ids` and `attention_mask` (1 a token, 0 padding), each (N, length) int64, longer texts cut."""
        # One at a time: a batch would start threads of its own beside the service's.
        encoded = [self._tokenizer.encode(text) for text in texts]
        return {
            "input_ids": np.array([one.ids for one in encoded], np.int64),
            "attention_mask": np.array([one.attention_mask for one in encoded], np.int64),
        }


def text_of(row: Any, at: str) -> str:
    """The text of a row, "..." or {"text": "..."}; Refused when it is none, blank or too long."""
    if isinstance(row, dict):
        if set(row) != {TEXT_KEY}:
            raise Refused(f'{at}: has keys {sorted(row)[:5]}; allowed: {{"{TEXT_KEY}": "..."}}')
        row, at = row[TEXT_KEY], f"{at}.{TEXT_KEY}"
    if not isinstance(row, str):
        raise Refused(f'{at}: is {kind_of(row)}; allowed: a string, or {{"{TEXT_KEY}": "..."}}')
    if not row.strip():
        raise Refused(f"{at}: is empty; allowed: a text of 1 to {CHARACTERS_MAX} characters")
    if len(row) > CHARACTERS_MAX:
        raise Refused(f"{at}: is {len(row)} characters long; allowed: {CHARACTERS_MAX}")
    return row


def _loaded(package: Package) -> Tokenizer:
    where = package.folder / TOKENIZER
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError:
        raise PackageError(f"{where}: needs the library tokenizers; pip install 'stillroom[text]'") from None
    try:
        return Tokenizer.from_str(package.tokenizer.decode())
    except Exception as e:  # the library raises bare Exceptions
        raise PackageError(f"{where}: not a tokenizer that can be loaded: {e}") from e
