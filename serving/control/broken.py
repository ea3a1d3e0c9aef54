"""What a store gave back, checked: a broken row is named, never half-believed."""

from __future__ import annotations

from typing import TypeVar

from pydantic import ValidationError

from serving.shapes import Frozen

T = TypeVar("T", bound=Frozen)


def parsed(kind: type[T], text: str | bytes, where: str) -> T:
    """JSON from a store as `kind`; ValueError that says where and what when it is broken."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as e:
        raise ValueError(fault(where, e)) from None


def fault(where: str, e: ValidationError) -> str:
    """The first thing wrong with what was read."""
    first = e.errors()[0]
    at = ".".join(map(str, first["loc"]))
    return f"{where}: {at}: {first['msg']}, found {str(first['input'])[:80]!r}"
