"""What a request asks for besides its rows: how long a body may be, whose answer a tester wants, and who asks."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.types import Receive

from serving.package import ROLES, Role
from serving.refusal import Refused

VARIANT = "X-Stillroom-Variant"
USER = "X-Stillroom-User"
USER_ID_MAX = 256
Headers = Mapping[bytes, bytes]  # names in lower case, as ASGI hands them over


class Gone(Exception):
    """The client went away before its request was whole; nobody is there to be answered."""


def header(headers: Headers, name: str) -> str | None:
    """A header's value; None where it is not given."""
    value = headers.get(name.lower().encode())
    return None if value is None else value.decode("latin-1")


def content_type(headers: Headers) -> str:
    """The body's media type without its parameters; JSON where none is given."""
    return (header(headers, "content-type") or "application/json").partition(";")[0].strip().lower()


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body of a request in JSON; Refused as `whole_body`, and when it is not declared as JSON."""
    headers = dict(request.scope["headers"])
    if (kind := content_type(headers)) != "application/json":
        raise Refused(f"Content-Type: {kind[:80]}; allowed: application/json", 415)
    return await whole_body(request.receive, headers, limit)


async def whole_body(receive: Receive, headers: Headers, limit: int) -> bytes:
    """The whole body; Refused when it is compressed, and as soon as it is known to be too long."""
    if b"content-encoding" in headers and (coding := header(headers, "content-encoding")) not in ("", "identity"):
        raise Refused(f"Content-Encoding: {str(coding)[:80]}; allowed: none", 415)
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > limit:
        raise Refused(f"body: {int(declared)} bytes; allowed: {limit}", 413)
    parts: list[bytes] = []
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        part: bytes = message.get("body", b"")
        length += len(part)
        if length > limit:
            raise Refused(f"body: more than {limit} bytes; allowed: {limit}", 413)
        parts.append(part)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def forced_role(headers: Headers) -> Role | None:
    """The role that a tester asks for by header."""
    value = header(headers, VARIANT)
    if value is None:
        return None
    for role in ROLES:
        if value == role:
            return role
    raise Refused(f"{VARIANT}: {value[:80]!r}; allowed: {' or '.join(ROLES)}")


def user_of(headers: Headers) -> str | None:
    """Who asks, by header: for bodies that have no room for it."""
    value = header(headers, USER)
    if value is not None and not 0 < len(value) <= USER_ID_MAX:
        raise Refused(f"{USER}: is {len(value)} characters; allowed: 1 to {USER_ID_MAX}, or no such header")
    return value
