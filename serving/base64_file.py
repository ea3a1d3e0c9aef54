"""A file that a client sends within JSON."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from serving.refusal import Refused, kind_of


def file_of(text: Any, at: str, what: str) -> bytes:
    """The bytes of a base64 string, with or without `data:...,` in front; Refused when it is none of `what`."""
    if not isinstance(text, str):
        raise Refused(f"{at}: is {kind_of(text)}; allowed: a string, the base64 of {what}")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(f"{at}: not base64; allowed: the base64 of {what}") from None
