"""The HTTP face: /predict, /v2, /feedback, /info, the page at /, and the OpenAPI document.

A plain Starlette app, mounted into the BentoML service: BentoML's own request and response models cost more than the
network does (they rebuild a JSON schema on every answer) and turn a client's mistake into a vague 400.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from serving import metrics
from serving.answers import Answering, Answers
from serving.ask import Gone, read_body
from serving.control.store import StoreError
from serving.feedback import take
from serving.live import Live
from serving.once import Once
from serving.openapi import document, example
from serving.package import ROLES
from serving.predict import Predict
from serving.refusal import Refused, as_json, wrong_method
from serving.shadow import Shadow
from serving.shapes import Rollout
from serving.ticket import Tickets
from serving.v2 import routes as v2

FEEDBACK_BYTES = 65_536
PAGE = Path(__file__).with_name("page.html")
PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self';"
    " img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Web:
    """The endpoints. A request reads `live` once and is answered by that snapshot, whatever replaces it meanwhile."""

    def __init__(self, rollout: Rollout) -> None:
        self._live: Live | None = None
        self._leaving = False
        self.shadow = Shadow(rollout.shadow)
        self.behind: Callable[[], bool] = lambda: False  # whether this worker cannot serve what the control row says
        self._page = PAGE.read_text(encoding="utf-8")
        self.first_time: Callable[[str], bool] = Once()  # whether a ticket is new: a store knows it of all workers
        self._tickets = Tickets.from_environment()
        self.answers = answers = Answers(rollout, lambda: self.live, self.shadow, self._tickets)
        self._posted: dict[str, ASGIApp] = {"/predict": Answering(answers, Predict()), **v2.posted(answers)}
        self.app = Starlette(
            routes=[
                *(Route(path, app, methods=["POST"]) for path, app in self._posted.items()),
                *v2.asked(lambda: self.live, lambda: self.ready),
                Route("/feedback", self.feedback, methods=["POST"]),
                Route("/info", self.info, methods=["GET"]),
                Route("/docs.json", self.openapi, methods=["GET"]),
                Route("/", self.page, methods=["GET"]),
            ],
            exception_handlers={405: wrong_method, Exception: self.fault},
        )

    @property
    def ready(self) -> bool:
        """Whether models are loaded and have answered once, and this worker is not about to go."""
        return self._live is not None and not self._leaving

    def leave(self) -> None:
        """Be ready no more, and go on answering."""
        self._leaving = True

    @property
    def live(self) -> Live:
        """What is served now."""
        assert self._live is not None, "requests come only after the models are loaded"
        return self._live

    def serve(self, live: Live) -> None:
        """Answer every request from now on by `live`. One assignment: no request sees half of a change."""
        before, self._live = self._live, live
        live.publish(before)

    def find(self, path: str) -> ASGIApp | None:
        """What answers a POST to a path, if it is one that wants an answer."""
        return self._posted.get(path)

    async def feedback(self, request: Request) -> Response:
        """POST /feedback: what was right, for answers that were given before."""
        live = self.live
        try:
            body = await read_body(request, FEEDBACK_BYTES)
            found = await run_in_threadpool(take, body, live, self._tickets, self.first_time)
        except Refused as e:
            return as_json({"error": str(e)}, e.status)
        except Gone:
            return Response(status_code=499)
        except StoreError as e:
            return as_json({"error": f"{e}; nothing was counted, send it again"}, 503)
        return as_json(asdict(found))

    async def info(self, _: Request) -> Response:
        """GET /info: the models, the split, the limits and an example."""
        live = self.live
        package = live.package
        models = {
            role: {"model": package.name(role), "sha256": package.sha256(role), "evidence": package.evidence.get(role)}
            for role in ROLES
        }
        return as_json(
            {
                "models": models,
                "generation": live.generation,
                "version": live.version,
                "mode": live.state.mode if live.state is not None else "settled",
                "behind": self.behind(),
                "treatment_share": live.share,
                "labels": package.labels,
                "preprocess": package.preprocess.model_dump(exclude={"mean", "std"}),
                "limits": package.rollout.limits.model_dump(),
                "example": example(package),
            }
        )

    async def openapi(self, _: Request) -> Response:
        """GET /docs.json: OpenAPI 3.0."""
        return as_json(document(self.live.package))

    async def page(self, _: Request) -> Response:
        """GET /: a page for people."""
        return HTMLResponse(self._page, headers={"Content-Security-Policy": PAGE_POLICY})

    async def fault(self, _: Request, __: Exception) -> Response:
        """Our own fault: a 500 for the client; Starlette raises it again, so that the log has the traceback."""
        metrics.REQUESTS.labels("none", 500).inc()
        return as_json({"error": "the service failed; its log says why"}, 500)
