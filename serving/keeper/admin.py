"""The keeper's HTTP face: reads for everybody who can reach its port, changes for who has a token.

A port of its own, on the loopback interface unless told otherwise. Nothing of it is on the service's public port.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from serving.ask import read_body
from serving.control.broken import fault
from serving.control.state import Kind, State
from serving.control.store import Store, StoreError
from serving.keeper import changes
from serving.keeper.audit import Audit
from serving.keeper.changes import Change, Offer, Share, Unfit
from serving.keeper.decisions import Decisions
from serving.keeper.moves import Moves
from serving.keeper.token import Tokens
from serving.refusal import Refused, as_json, wrong_method

BODY_MAX = 16_384
EVENTS_MAX = 1000
C = TypeVar("C", bound=Change)
Move = Callable[[str, bytes], State]


class Admin:
    """The endpoints over one store; `more` are routes of others on the same port. Changes count among `decisions`."""

    def __init__(
        self, store: Store, tokens: Tokens, more: tuple[BaseRoute, ...] = (), decisions: Decisions | None = None
    ) -> None:
        self._store, self._tokens, self._audit = store, tokens, Audit(store)
        self._moves = Moves(store, self._audit, decisions or Decisions())
        moves: dict[str, Move] = {
            "/share": self._move(Share, "share", changes.shared),
            "/rollback": self._move(Change, "rollback", changes.rolled_back),
            "/hold": self._move(Change, "hold", changes.held),
            "/resume": self._move(Change, "resume", changes.resumed),
            "/package": lambda actor, body: self._moves.offer(actor, _read(Offer, body)),
        }
        reads = {"/state": self._state, "/workers": self._workers, "/events": self._events}
        self.app = Starlette(
            routes=[
                Route("/healthz", self._health, methods=["GET"]),
                *(Route(path, self._get(read), methods=["GET"]) for path, read in reads.items()),
                *(Route(path, self._post(move), methods=["POST"]) for path, move in moves.items()),
                *more,
            ],
            exception_handlers={405: wrong_method},
        )

    def _health(self, _: Request) -> Response:
        """200 while the process lives: a store that is away is no reason to start it anew."""
        try:
            self._store.now_s()
        except StoreError:
            return as_json({"alive": True, "store": "away"})
        return as_json({"alive": True, "store": "there"})

    def _state(self, _: Request) -> Any:
        row = self._store.read()
        return {"state": row and row.model_dump(), "now_s": self._store.now_s()}

    def _workers(self, _: Request) -> Any:
        now_s = self._store.now_s()
        return [{**p.model_dump(), "age_s": now_s - p.seen_s} for p in self._store.presences()]

    def _events(self, request: Request) -> Any:
        after, limit = _whole(request, "after", 0), _whole(request, "limit", 100)
        return [event.model_dump() for event in self._store.events(after, min(limit, EVENTS_MAX))]

    def _get(self, read: Callable[[Request], Any]) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            try:
                return as_json(read(request))
            except Refused as e:
                return as_json({"error": str(e)}, e.status)
            except StoreError as e:
                return as_json({"error": str(e)}, 503)

        return answer

    def _move(self, shape: type[C], kind: Kind, after: Callable[[State, C, float], State]) -> Move:
        return lambda actor, body: self._moves.change(kind, actor, _read(shape, body), after)

    def _post(self, move: Move) -> Callable[[Request], Awaitable[Response]]:
        """A change by who may make it. What is refused, and why, stands in the audit log too."""

        async def answer(request: Request) -> Response:
            path, client, actor = request.url.path, request.client.host if request.client else "unknown", "unknown"
            try:
                actor = self._tokens.check(request.headers.get("authorization"), path)
                body = await read_body(request, BODY_MAX)
                return as_json((await run_in_threadpool(move, actor, body)).model_dump())
            except Refused as e:
                status, told = e.status, as_json({"error": str(e)}, e.status, _challenge(e.status))
                error: Exception = e
            except Unfit as e:
                status, error = 409, e
                told = as_json({"error": str(e), "state": e.row and e.row.model_dump()}, 409)
            except StoreError as e:
                return as_json({"error": str(e)}, 503)
            await run_in_threadpool(self._audit.refused, actor, f"POST {path} from {client}: {status} {error}")
            return told

        return answer


def _challenge(status: int) -> dict[str, str] | None:
    return {"WWW-Authenticate": "Bearer"} if status == 401 else None


def _read(shape: type[C], body: bytes) -> C:
    """A body as `shape`; Refused names the key that is missing, unknown or out of bounds."""
    keys = ", ".join(shape.model_fields)
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as e:
        raise Refused(f"body: not JSON: {e}; allowed: an object of {keys}", 400) from None
    try:
        return shape.model_validate(asked)
    except ValidationError as e:
        raise Refused(f"{fault('body', e)}; allowed keys: {keys}") from None


def _whole(request: Request, name: str, default: int) -> int:
    given = request.query_params.get(name, str(default))
    if not given.isdecimal() or len(given) > 15:
        raise Refused(f"{name}: {given[:40]!r}; allowed: a whole number of at least 0")
    return int(given)
