"""What a client is told when its request is at fault."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response


class Refused(Exception):
    """The request is at fault; `status` is the 4xx to answer with."""

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.status = status


def kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def as_json(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer in JSON."""
    return Response(orjson.dumps(value), status, headers, media_type="application/json")


async def wrong_method(request: Request, e: Exception) -> Response:
    """405: not by this method. An unknown path never comes here: BentoML answers it."""
    assert isinstance(e, HTTPException), "registered for nothing else"
    headers = dict(e.headers or {})
    allowed = headers.get("Allow", "what /docs.json lists")
    return as_json({"error": f"{request.method} {request.url.path[:80]}: {e.detail}; allowed: {allowed}"}, 405, headers)
