"""Pydantic's verdict on a block, told in the words of the file: what was found, what is allowed, the nearest name.

What is allowed at a place is read from the model's JSON Schema, the very one that editors get.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tasks.core.errors import nearest
from tasks.plan.problems import MISSING, Document, Keys, listed, show

M = TypeVar("M", bound=BaseModel)
_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "object": "a mapping",
}
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "pattern": "matching {}",
}


def checked(doc: Document, path: Keys, kind: type[M], raw: object, also: Iterable[str] = ()) -> M | None:
    """`raw`, which stands at `path` of `doc`, as a `kind`; None, and its problems noted, when it does not fit.

    It goes through JSON, where strictness still lets a list be a tuple and 1 a float, but never true a number.
    `also` are further keys that may stand beside the block's own, for the list of what is allowed.
    """
    try:
        return kind.model_validate_json(json.dumps(raw), strict=True)
    except ValidationError as e:
        schema, seen = kind.model_json_schema(), set()
        for error in e.errors(include_url=False):
            keys, found, allowed, hint = _told(error, raw, schema, tuple(also))
            if keys not in seen:  # every branch of a union complains about the same value
                doc.problem((*path, *keys), found, allowed, hint)
            seen.add(keys)
        return None


def _told(error: ErrorDetails, raw: object, root: dict[str, Any], also: tuple[str, ...]) -> tuple[Keys, str, str, str]:
    keys, value = _follow(raw, error["loc"])
    kind = error["type"]
    if kind == "missing":
        keys, value = (*keys, error["loc"][-1]), MISSING
    if kind == "extra_forbidden" or error["loc"][-1:] == ("[key]",):
        parents = _branches(root, _at(root, root, keys[:-1]))
        names = tuple(name for parent in parents for name in _names(parent)) + (also if len(keys) == 1 else ())
        return keys, "an unknown key", listed(names) or "no key", nearest(keys[-1], names)
    if kind in ("value_error", "assertion_error"):
        told = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        return keys, "these values together" if isinstance(value, dict) else show(value), told, ""
    schema = _at(root, root, keys)
    names = tuple(n for n in _enum(schema) if isinstance(n, str))
    return keys, show(value), describe(root, schema) or error["msg"], nearest(value, names) if names else ""


def _follow(raw: object, location: Keys) -> tuple[Keys, object]:
    """The part of pydantic's location that is in the file (it adds the branches of unions), and what stands there."""
    keys: Keys = ()
    for step in location:
        if isinstance(raw, dict) and step in raw:
            raw, keys = raw[step], (*keys, step)
        elif isinstance(raw, list) and isinstance(step, int) and step < len(raw):
            raw, keys = raw[step], (*keys, step)
    return keys, raw


def _branches(root: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The alternatives of a schema, references resolved; itself when it has none."""
    if "$ref" in schema:
        return _branches(root, root.get("$defs", {}).get(schema["$ref"].rpartition("/")[2], {}))
    several = schema.get("anyOf") or schema.get("oneOf") or ()
    return [inner for branch in several for inner in _branches(root, branch)] or [schema]


def _at(root: dict[str, Any], schema: dict[str, Any], keys: Keys) -> dict[str, Any]:
    """The schema of what stands at `keys`; an empty one when that cannot be told."""
    for key in keys:
        for branch in _branches(root, schema):
            inner = branch.get("properties", {}).get(key) or branch.get("additionalProperties")
            inner = branch.get("items") if isinstance(key, int) else inner
            if isinstance(inner, dict):
                schema = inner
                break
        else:
            return {}
    branches = _branches(root, schema)
    return branches[0] if len(branches) == 1 else schema


def _names(schema: dict[str, Any]) -> tuple[str, ...]:
    return (*schema.get("properties", ()), *_enum(schema.get("propertyNames", {})))


def _enum(schema: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(schema["enum"]) if "enum" in schema else (schema["const"],) if "const" in schema else ()


def describe(root: dict[str, Any], schema: dict[str, Any]) -> str:
    """What a JSON Schema lets through, in words: `a whole number, at least 1, at most 256`."""
    branches = _branches(root, schema)
    if len(branches) > 1:
        return " or ".join(dict.fromkeys(describe(root, branch) for branch in branches))
    (one,) = branches
    if names := _enum(one):
        return ", ".join(str(name) if isinstance(name, str) else show(name) for name in names)
    words = [_KINDS[one["type"]]] if one.get("type") in _KINDS else []
    if one.get("type") == "array":
        each = describe(root, one.get("items", {}))
        words = ["a list" + (f" of {each}" if each else "")]
    words += [text.format(one[key]) for key, text in _BOUNDS.items() if key in one]
    words += ["not empty"] if one.get("minLength") or one.get("minItems") else []
    return ", ".join(words)
