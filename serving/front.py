"""The way past BentoML for requests that want an answer.

BentoML's middlewares (its metrics, traces, time limit, limit of requests) stand before every app that is mounted into
it, and cost more than a small network does. `answers` has limits and metrics of its own, so such requests are taken out
in front of them; all others go on as ever. Where this does not take hold, the mounted routes answer the same, slower.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

Find = Callable[[str], ASGIApp | None]  # what answers a POST to a path, if it is one of ours


class Front:
    """A middleware of BentoML's app that moves itself to the front of it when the app starts."""

    def __init__(self, app: ASGIApp, find: Find) -> None:
        self._app, self._find = app, find

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; at the start, take the first place."""
        if scope["type"] == "lifespan":
            outer = scope["app"]
            outer.middleware_stack = First(outer.middleware_stack, self._find)
        await self._app(scope, receive, send)


class First:
    """Before everything else."""

    def __init__(self, rest: ASGIApp, find: Find) -> None:
        self._rest, self._find = rest, find

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """To what answers, or on to the rest."""
        ours = self._find(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        await (self._rest if ours is None else ours)(scope, receive, send)
