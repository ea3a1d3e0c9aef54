"""From a client's JSON to the network's array, refusing what does not fit with a message that names the fault.

A row is nested lists of numbers, of the network's own shape (or without the channel axis where there is one channel),
or {"image_base64": "..."} with a PNG or JPEG of any size, {"audio_base64": "..."} with a WAV file, by the data's kind.
A row of text is a string or {"text": "..."}.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
import orjson

from serving.ask import USER_ID_MAX
from serving.lossless import cast
from serving.picture import PIXELS_MAX_TOGETHER, Budget, picture
from serving.refusal import Refused, kind_of
from serving.shapes import Preprocess
from serving.sound import sound
from serving.text import Tokens, text_of

Array = np.ndarray[Any, Any]
Inputs = Mapping[str, Array]
KEYS = ("inputs", "user_id")
FILE_KEYS = {"image": "image_base64", "audio": "audio_base64"}  # of a row that is a file


@dataclass(frozen=True)
class Asked:
    """A request that can be answered: the rows (N, *row) by the network's input, and who asks."""

    inputs: Inputs
    user_id: str | None
    origin: object = None  # what the form that read it needs to write the answer

    @property
    def rows(self) -> int:
        """N."""
        return len(next(iter(self.inputs.values())))


def read(body: bytes, preprocess: Preprocess, *, rows_max: int, tokens: Tokens | None = None) -> Asked:
    """Read a whole request body, of texts with `tokens`; Refused names what is wrong with it and what is allowed."""
    if not body:
        raise Refused('body: empty; allowed: {"inputs": [row, ...], "user_id": "..."}', 400)
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as e:
        raise Refused(f"body: not JSON: {e}", 400) from None
    if not isinstance(asked, dict):
        raise Refused(f'body: is {kind_of(asked)}; allowed: an object, {{"inputs": [row, ...], "user_id": "..."}}')
    for key in asked:
        if key not in KEYS:
            close = get_close_matches(key, KEYS, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise Refused(f"{key[:80]!r}: unknown key; allowed: {', '.join(KEYS)}{hint}")
    user_id, rows = _user(asked.get("user_id")), _listed(asked.get("inputs"), rows_max)
    if tokens is not None:
        return Asked(tokens.rows([text_of(row, f"inputs[{i}]") for i, row in enumerate(rows)]), user_id)
    booleans = b"true" in body or b"false" in body  # numpy takes them for 1 and 0; looking for them takes a while
    (name,) = preprocess.inputs
    return Asked({name: _rows(rows, preprocess, booleans)}, user_id)


def _user(user_id: Any) -> str | None:
    if user_id is None:
        return None
    if not isinstance(user_id, str) or not 0 < len(user_id) <= USER_ID_MAX:
        found = f"{len(user_id)} characters" if isinstance(user_id, str) else kind_of(user_id)
        raise Refused(f"user_id: is {found}; allowed: a string of 1 to {USER_ID_MAX} characters, or none")
    return user_id


def _listed(inputs: Any, rows_max: int) -> list[Any]:
    if not isinstance(inputs, list):
        found = "missing" if inputs is None else f"is {kind_of(inputs)}"
        raise Refused(f"inputs: {found}; allowed: a list of 1 to {rows_max} rows")
    if not 1 <= len(inputs) <= rows_max:
        raise Refused(f"inputs: has {len(inputs)} rows; allowed: 1 to {rows_max} a request")
    return inputs


def _rows(inputs: list[Any], preprocess: Preprocess, booleans: bool) -> Array:
    (wanted,) = preprocess.inputs.values()
    if not booleans and not any(isinstance(row, dict) for row in inputs):
        try:
            together = np.asarray(inputs)
        except (ValueError, OverflowError):
            together = None  # rows that differ: the loop below finds which one is at fault
        if together is not None and together.shape[1:] == wanted.shape and together.dtype.kind in "iuf":
            return cast(together, wanted.dtype)
    budget = Budget(PIXELS_MAX_TOGETHER)
    rows = [_row(row, f"inputs[{i}]", preprocess, budget) for i, row in enumerate(inputs)]
    if booleans:
        for i, row in enumerate(inputs):
            _check_numbers(row, f"inputs[{i}]")
    return np.stack(rows)


def _check_numbers(value: Any, at: str) -> None:
    """Refused for true or false among the numbers; the lists are known to be of the network's depth."""
    if isinstance(value, bool):
        raise Refused(f"{at}: is true or false; allowed: a number")
    if isinstance(value, list):
        for i, inner in enumerate(value):
            _check_numbers(inner, f"{at}[{i}]")


def _row(row: Any, at: str, preprocess: Preprocess, budget: Budget) -> Array:
    (wanted,) = preprocess.inputs.values()
    image, key = preprocess.kind == "image", FILE_KEYS.get(preprocess.kind)
    if isinstance(row, dict):
        if key is None:
            raise Refused(f"{at}: is an object; allowed: lists of numbers of shape {wanted.shape}")
        if set(row) != {key}:
            raise Refused(f'{at}: has keys {sorted(row)[:5]}; allowed: {{"{key}": "..."}}')
        if preprocess.sound is not None:
            return sound(row[key], f"{at}.{key}", preprocess.sound)
        return picture(row[key], f"{at}.{key}", preprocess, budget)
    if not isinstance(row, list):
        also = f' or {{"{key}": "..."}}' if key else ""
        raise Refused(f"{at}: is {kind_of(row)}; allowed: lists of numbers of shape {wanted.shape}{also}")
    try:
        values = np.asarray(row)
    except (ValueError, OverflowError):
        raise Refused(f"{at}: lists of unequal length, or too deep; allowed: shape {wanted.shape}") from None
    if values.size and values.dtype.kind not in "iuf":
        raise Refused(f"{at}: holds something that is not a number; allowed: numbers of shape {wanted.shape}")
    if image and preprocess.channels == 1 and values.shape == wanted.shape[1:]:
        values = values[None]
    if values.shape != wanted.shape:
        flat = f" or {wanted.shape[1:]}" if image and preprocess.channels == 1 else ""
        raise Refused(f"{at}: shape {values.shape}; allowed: {wanted.shape}{flat}")
    return np.asarray(cast(values[None], wanted.dtype, at)[0])
