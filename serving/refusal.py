"""What a client is told when its request is at fault."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """The request is at fault; `status` is the 4xx to answer with."""

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.status = status


def kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
