"""The keeper over HTTP: what it knows, and changes by whoever has its token, compared and set by generation."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from tasks.core.errors import KeeperError
from tasks.live.glance import Glance
from tasks.live.shapes import Event, Row, Worker

ENVIRONMENT = "STILLROOM_KEEPER"
DEFAULT = "http://127.0.0.1:3001"
PAGE = 1000
TIMEOUT_S = 20.0  # it reads every byte of a package that is offered
T = TypeVar("T")
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class LateError(KeeperError):
    """The row is not the one that was expected; `row` is the one that is there."""

    def __init__(self, message: str, row: Row | None) -> None:
        super().__init__(message, 409)
        self.row = row


class Keeper:
    """One keeper. Every method raises KeeperError when it is away or refuses, with what to do about it."""

    def __init__(self, url: str = "", token: str = "") -> None:
        self.url = (url or os.environ.get(ENVIRONMENT, "") or DEFAULT).rstrip("/")
        self._token = token

    def row(self) -> Row | None:
        """The row; None before there is one."""
        return _shaped(TypeAdapter(Row | None), self._ask("/state").get("state"), self.url)

    def workers(self) -> tuple[Worker, ...]:
        """The workers that were seen lately, the latest first."""
        return _shaped(TypeAdapter(tuple[Worker, ...]), self._ask("/workers"), self.url)

    def glance(self) -> Glance:
        """The whole rollout with its figures, as on the keeper's page."""
        return _shaped(TypeAdapter(Glance), self._ask("/status.json"), self.url)

    def events(self, after: int = 0) -> tuple[Event, ...]:
        """All events with an id above `after`, oldest first."""
        found: list[Event] = []
        while True:
            page = self._ask(f"/events?after={after}&limit={PAGE}")
            found += _shaped(TypeAdapter(tuple[Event, ...]), page, self.url)
            if len(page) < PAGE:
                return tuple(found)
            after = found[-1].id

    def change(self, verb: str, expected: int, **asked: Any) -> Row:
        """POST /<verb>: the row after it. LateError when the row is of another generation than `expected`."""
        answer = self._ask(f"/{verb}", {"expected": expected, **asked})
        return _shaped(TypeAdapter(Row), answer, self.url)

    def _ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        try:
            with _DIRECT.open(urllib.request.Request(self.url + path, data, headers), timeout=TIMEOUT_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as e:
            with e:
                raise self._refused(e.code, e.read(), body) from None
        except (OSError, HTTPException, ValueError) as e:
            why = getattr(e, "reason", None) or e
            raise KeeperError(
                f"{self.url}: no keeper answers there ({why}); `stillroom serve` starts one, {ENVIRONMENT} says where"
            ) from None

    def _refused(self, status: int, text: bytes, body: Mapping[str, Any] | None) -> KeeperError:
        try:
            told = json.loads(text)
            why, state = str(told["error"]), told.get("state")
        except (ValueError, KeyError, TypeError, AttributeError):
            return KeeperError(
                f"{self.url}: answered {status}, so it is no keeper; {ENVIRONMENT} says where it is", status
            )
        if status == 409 and body is not None:
            row = _shaped(TypeAdapter(Row | None), state, self.url)
            if (row.generation if row else 0) != body["expected"]:
                return LateError(why, row)
        return KeeperError(f"{self.url}: {why}", status)


def _shaped(kind: TypeAdapter[T], told: Any, url: str) -> T:
    try:
        return kind.validate_python(told)
    except ValidationError as e:
        first = e.errors()[0]
        at = ".".join(map(str, first["loc"]))
        raise KeeperError(f"{url}: not what a keeper says: {at}: {first['msg']}") from None
