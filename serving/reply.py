"""What goes back over the wire: an answer with its headers, a refusal, or a fault; the latter two counted here."""

from __future__ import annotations

import orjson
from starlette.types import Send

from serving import metrics
from serving.answer import Case, Reply
from serving.live import Live
from serving.refusal import Refused
from serving.ticket import HEADER as TICKET
from serving.ticket import ROWS_MAX, Tickets

CACHE = b"x-stillroom-cache"
JSON = b"application/json"
Headers = tuple[tuple[bytes, bytes], ...]


async def give(case: Case, reply: Reply, tickets: Tickets | None, send: Send) -> None:
    """An answer, and who gave it."""
    await _send(send, 200, reply.content, reply.media_type, (*_told(case, tickets), *reply.headers))


async def refuse(live: Live, case: Case | None, refused: Refused, send: Send) -> None:
    """A 4xx: the request is at fault."""
    role = case.role if case is not None else None
    metrics.REQUESTS.labels(role or "none", refused.status).inc()
    live.counts.refused(role)
    await _send(send, refused.status, orjson.dumps({"error": str(refused)}))


async def fail(live: Live, case: Case | None, status: int, why: str, send: Send) -> None:
    """A 5xx: the service is at fault."""
    role = case.role if case is not None else None
    metrics.REQUESTS.labels(role or "none", status).inc()
    live.counts.failed(role)
    await _send(send, status, orjson.dumps({"error": why}))


def _told(case: Case, tickets: Tickets | None) -> Headers:
    """The headers of every answer: who gave it, whether it was kept, and the ticket for feedback on it."""
    live, role = case.live, case.role
    assert role is not None, "it has answered"
    told = live.headers[role]
    if case.key:
        told = (*told, (CACHE, b"miss" if case.kept is None else b"hit"))
    if tickets is not None and len(case.classes) <= ROWS_MAX:
        ticket = tickets.write(live.package.manifest_sha256, role, case.classes)
        told = (*told, (TICKET.lower().encode(), ticket.encode()))
    return told


async def _send(send: Send, status: int, content: bytes, media_type: bytes = JSON, more: Headers = ()) -> None:
    headers = [(b"content-type", media_type), (b"content-length", b"%d" % len(content)), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
