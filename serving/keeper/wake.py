"""POST /wake: somebody says that the registry's champion may have moved. It only wakes: an event in the log, no more.

Who asks has a token, as for a change, or is MLflow's own webhook, which signs what it sends with the follower's token
as its secret: `X-MLflow-Signature: v1,` and the HMAC-SHA256 of "delivery id.timestamp.body" in base64 (MLflow 3,
https://mlflow.org/docs/latest/ml/webhooks/).
"""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Mapping
from hashlib import sha256

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.ask import read_body
from serving.keeper.audit import Audit
from serving.keeper.token import Tokens
from serving.refusal import Refused, as_json

PATH = "/wake"
BODY_MAX = 65_536
FRESH_S = 300.0  # how old a signature may be
EVERY_S = 1.0  # who asks more often wakes once: the log is not for him to fill


class Wake:
    """The route, over one audit log."""

    def __init__(self, audit: Audit, tokens: Tokens) -> None:
        self._audit, self._tokens = audit, tokens
        self._next_s = 0.0
        self.route = Route(PATH, self._post, methods=["POST"])

    async def _post(self, request: Request) -> Response:
        try:
            body = await read_body(request, BODY_MAX)
            who = "webhook" if signed(request.headers, body, self._tokens.follower, time.time()) else ""
            who = who or self._tokens.check(request.headers.get("authorization"), PATH)
        except Refused as e:
            client = request.client.host if request.client else "unknown"
            await run_in_threadpool(self._audit.refused, "unknown", f"POST {PATH} from {client}: {e.status} {e}")
            return as_json({"error": str(e)}, e.status, {"WWW-Authenticate": "Bearer"} if e.status == 401 else None)
        if time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + EVERY_S
            if not await run_in_threadpool(self._audit.write, "wake", who, 0, "the champion may have moved"):
                return as_json({"error": "the store is away; the follower looks by itself, too"}, 503)
        return as_json({"woken": True}, 202)


def signed(headers: Mapping[str, str], body: bytes, secret: str, now_s: float) -> bool:
    """Whether MLflow signed `body` with `secret` within the last five minutes; never with an empty secret."""
    given, at = headers.get("x-mlflow-signature", ""), headers.get("x-mlflow-timestamp", "")
    if not secret or not at.isdecimal() or len(at) > 15 or abs(now_s - int(at)) > FRESH_S:
        return False
    text = f"{headers.get('x-mlflow-delivery-id', '')}.{at}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.new(secret.encode(), text, sha256).digest()).decode()
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())
