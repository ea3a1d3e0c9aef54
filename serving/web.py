"""The HTTP face: /predict, /info, the page at /, and the OpenAPI document.

A plain Starlette app, mounted into the BentoML service: BentoML's own request and response models cost more than the
network does (they rebuild a JSON schema on every answer) and turn a client's mistake into a vague 400.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import anyio.to_thread
from anyio import CapacityLimiter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from serving import inputs, metrics
from serving.engine import Engine
from serving.openapi import document, example
from serving.package import ROLES, Package, Role
from serving.refusal import Refused, as_json, wrong_method
from serving.route import route

HEADER = "X-Stillroom-Variant"
PAGE = Path(__file__).with_name("page.html")
PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self';"
    " img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Web:
    """The endpoints over one package; `engine` is set once the models are loaded."""

    def __init__(self, package: Package) -> None:
        self.package = package
        self.engine: Engine | None = None
        self._page = PAGE.read_text(encoding="utf-8")
        rollout = package.rollout
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._at_once = max(1, cores // (rollout.workers * rollout.threads))
        self._limiter: CapacityLimiter | None = None
        self.app = Starlette(
            routes=[
                Route("/predict", self.predict, methods=["POST"]),
                Route("/info", self.info, methods=["GET"]),
                Route("/docs.json", self.openapi, methods=["GET"]),
                Route("/", self.page, methods=["GET"]),
            ],
            exception_handlers={405: wrong_method, Exception: self.fault},
        )

    async def predict(self, request: Request) -> Response:
        """POST /predict: classify rows."""
        try:
            body = await self._body(request)
            start = time.perf_counter()
            forced = self._forced(request)
            role, answer = await self._in_thread(body, forced)
        except Refused as e:
            metrics.REQUESTS.labels("none", e.status).inc()
            return as_json({"error": str(e)}, e.status)
        metrics.DURATION.labels(role).observe(time.perf_counter() - start)
        metrics.REQUESTS.labels(role, 200).inc()
        return Response(answer, media_type="application/json", headers={HEADER: role})

    async def info(self, _: Request) -> Response:
        """GET /info: the models, the split, the limits and an example."""
        package = self.package
        models = {
            role: {"model": package.name(role), "sha256": package.sha256(role), "evidence": package.evidence.get(role)}
            for role in ROLES
        }
        return as_json(
            {
                "models": models,
                "treatment_share": package.rollout.treatment_share,
                "labels": package.labels,
                "preprocess": package.preprocess.model_dump(exclude={"mean", "std"}),
                "limits": package.rollout.limits.model_dump(),
                "example": example(package),
            }
        )

    async def openapi(self, _: Request) -> Response:
        """GET /docs.json: OpenAPI 3.0."""
        return as_json(document(self.package))

    async def page(self, _: Request) -> Response:
        """GET /: a page for people."""
        return HTMLResponse(self._page, headers={"Content-Security-Policy": PAGE_POLICY})

    async def fault(self, _: Request, __: Exception) -> Response:
        """Our own fault: a 500 for the client; Starlette raises it again, so that the log has the traceback."""
        metrics.REQUESTS.labels("none", 500).inc()
        return as_json({"error": "the service failed; its log says why"}, 500)

    async def _in_thread(self, body: bytes, forced: Role | None) -> tuple[Role, bytes]:
        """Decode and infer off the event loop, so that probes, refusals and time limits work while a network does.

        No more at once than there are processors for: the rest wait here, where a time limit can still drop them.
        """
        if self._limiter is None:
            self._limiter = CapacityLimiter(self._at_once)
        return await anyio.to_thread.run_sync(self._answer, body, forced, limiter=self._limiter)

    def _answer(self, body: bytes, forced: Role | None) -> tuple[Role, bytes]:
        assert self.engine is not None, "requests come only after the models are loaded"
        rollout = self.package.rollout
        tokens, limits = self.engine.tokens, rollout.limits
        asked = inputs.read(body, self.package.preprocess, rows_max=limits.rows, tokens=tokens)
        role = forced or route(rollout.salt, rollout.treatment_share, asked.user_id)
        return role, self.engine.answer(role, asked.inputs)

    async def _body(self, request: Request) -> bytes:
        """The whole body; Refused as soon as it is known to be too long, or when it is not declared as JSON."""
        kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refused(f"Content-Type: {kind[:80]}; allowed: application/json", 415)
        limit = self.package.rollout.limits.body_bytes
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

    def _forced(self, request: Request) -> Role | None:
        """The role that a tester asks for by header."""
        value = request.headers.get(HEADER)
        if value is None:
            return None
        for role in ROLES:
            if value == role:
                return role
        raise Refused(f"{HEADER}: {value[:80]!r}; allowed: {' or '.join(ROLES)}")
