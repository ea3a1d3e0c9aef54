"""An inference request of the Open Inference Protocol, taken apart: its JSON, and the bytes behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from serving.ask import USER_ID_MAX, Headers, header
from serving.refusal import Refused, kind_of

LENGTH = "Inference-Header-Content-Length"
Json = Mapping[str, Any]


@dataclass(frozen=True)
class Wanted:
    """One output that the client wants, and whether as bytes."""

    name: str
    binary: bool


@dataclass(frozen=True)
class Request:
    """`tensors` are the inputs, each with its bytes behind the JSON, if any; `wanted` is empty for all outputs."""

    id: str | None
    tensors: tuple[tuple[Json, bytes | None], ...]
    wanted: tuple[Wanted, ...]
    binary: bool  # of outputs that say nothing of it
    user_id: str | None


def parse(body: bytes, headers: Headers) -> Request:
    """Refused where it is none."""
    length = header(headers, LENGTH)
    if length is not None and not (length.isdecimal() and len(length) < 20 and int(length) <= len(body)):
        raise Refused(f"{LENGTH}: {length[:80]!r}; allowed: the length of the JSON, 0 to {len(body)}", 400)
    split = len(body) if length is None else int(length)
    try:
        asked = orjson.loads(body[:split])
    except orjson.JSONDecodeError as e:
        raise Refused(f"body: not JSON: {e}", 400) from None
    asked = _object(asked, "body")
    parameters = _object(asked.get("parameters", {}), "parameters")
    if parameters.get("sequence_id"):
        raise Refused("parameters.sequence_id: this model keeps nothing between requests; allowed: none")
    binary = _boolean(parameters.get("binary_data_output", False), "parameters.binary_data_output")
    return Request(
        _text(asked.get("id"), "id", 4096),
        _tensors(asked, body[split:]),
        tuple(
            _wanted(one, f"outputs[{i}]", binary) for i, one in enumerate(_list(asked.get("outputs", []), "outputs"))
        ),
        binary,
        _text(parameters.get("user_id"), "parameters.user_id", USER_ID_MAX),
    )


def _tensors(asked: Json, behind: bytes) -> tuple[tuple[Json, bytes | None], ...]:
    """Each input with its bytes; together they must be all that there is behind the JSON."""
    found: list[tuple[Json, bytes | None]] = []
    place = 0
    for i, one in enumerate(_list(asked.get("inputs"), "inputs")):
        tensor = _object(one, f"inputs[{i}]")
        parameters = _object(tensor.get("parameters", {}), f"inputs[{i}].parameters")
        if "shared_memory_region" in parameters:
            raise Refused(f"inputs[{i}].parameters.shared_memory_region: not here; allowed: data, or binary_data_size")
        size = parameters.get("binary_data_size")
        if size is None:
            found.append((tensor, None))
            continue
        if type(size) is not int or not 0 <= size <= len(behind) - place:
            left = len(behind) - place
            raise Refused(f"inputs[{i}].parameters.binary_data_size: {str(size)[:80]}; {left} bytes are there")
        found.append((tensor, behind[place : place + size]))
        place += size
    if place != len(behind):
        raise Refused(f"body: {len(behind) - place} bytes that no input's binary_data_size counts")
    return tuple(found)


def _wanted(output: Any, at: str, binary: bool) -> Wanted:
    output = _object(output, at)
    parameters = _object(output.get("parameters", {}), f"{at}.parameters")
    for key in ("classification", "shared_memory_region"):
        if key in parameters:
            raise Refused(f"{at}.parameters.{key}: not here; allowed: binary_data")
    return Wanted(
        _text(output.get("name"), f"{at}.name", 256) or "",
        _boolean(parameters.get("binary_data", binary), f"{at}.parameters.binary_data"),
    )


def _object(value: Any, at: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refused(f"{at}: is {kind_of(value)}; allowed: an object")
    return value


def _list(value: Any, at: str) -> list[Any]:
    if not isinstance(value, list):
        raise Refused(f"{at}: is {'missing' if value is None else kind_of(value)}; allowed: a list")
    return value


def _boolean(value: Any, at: str) -> bool:
    if not isinstance(value, bool):
        raise Refused(f"{at}: is {kind_of(value)}; allowed: true or false")
    return value


def _text(value: Any, at: str, longest: int) -> str | None:
    if value is not None and not (isinstance(value, str) and 0 < len(value) <= longest):
        found = f"{len(value)} characters" if isinstance(value, str) else kind_of(value)
        raise Refused(f"{at}: is {found}; allowed: a string of 1 to {longest} characters, or none")
    return value
