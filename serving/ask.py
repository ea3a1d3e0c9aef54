"""What a request asks for besides its rows: how long a body may be, and whose answer a tester wants."""

from __future__ import annotations

from starlette.requests import Request

from serving.package import ROLES, Role
from serving.refusal import Refused

VARIANT = "X-Stillroom-Variant"


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body; Refused as soon as it is known to be too long, or when it is not declared as JSON."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(f"Content-Type: {kind[:80]}; allowed: application/json", 415)
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit:
        raise Refused(f"body: {declared} bytes; allowed: {limit}", 413)
    parts: list[bytes] = []
    length = 0
    async for part in request.stream():
        length += len(part)
        if length > limit:
            raise Refused(f"body: more than {limit} bytes; allowed: {limit}", 413)
        parts.append(part)
    return b"".join(parts)


def forced_role(request: Request) -> Role | None:
    """The role that a tester asks for by header."""
    value = request.headers.get(VARIANT)
    if value is None:
        return None
    for role in ROLES:
        if value == role:
            return role
    raise Refused(f"{VARIANT}: {value[:80]!r}; allowed: {' or '.join(ROLES)}")
