"""The paths of the Open Inference Protocol: what answers a POST, and what may be asked by GET."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from serving.answers import Answering, Answers
from serving.live import Live
from serving.package import ROLES
from serving.refusal import as_json
from serving.v2.infer import Infer
from serving.v2.model import MODEL, model, server

ONE = f"/v2/models/{MODEL}"


def posted(answers: Answers) -> dict[str, ASGIApp]:
    """What answers a POST, by path."""
    found: dict[str, ASGIApp] = {f"{ONE}/infer": Answering(answers, Infer(None))}
    return found | {f"{ONE}/versions/{role}/infer": Answering(answers, Infer(role)) for role in ROLES}


def asked(live: Callable[[], Live], ready: Callable[[], bool]) -> list[BaseRoute]:
    """What is told, and 404 in the protocol's form for other models."""

    async def metadata(_: Request) -> Response:
        return as_json(server(live().package))

    async def alive(_: Request) -> Response:
        return as_json({"live": True})

    async def is_ready(_: Request) -> Response:
        return as_json({"ready": ready()}, 200 if ready() else 503)

    async def one(request: Request) -> Response:
        if (fault := _unknown(request)) is not None:
            return fault
        return as_json(model(live().package))

    async def one_ready(request: Request) -> Response:
        if (fault := _unknown(request)) is not None:
            return fault
        return as_json({"name": MODEL, "ready": ready()}, 200 if ready() else 503)

    async def no_such(request: Request) -> Response:
        return _unknown(request) or as_json({"error": "no such path"}, 404)

    paths = ("/v2/models/{name}", "/v2/models/{name}/versions/{version}")
    return [
        Route("/v2", metadata, methods=["GET"]),
        Route("/v2/health/live", alive, methods=["GET"]),
        Route("/v2/health/ready", is_ready, methods=["GET"]),
        *(Route(path, one, methods=["GET"]) for path in paths),
        *(Route(f"{path}/ready", one_ready, methods=["GET"]) for path in paths),
        *(Route(f"{path}/infer", no_such, methods=["POST"]) for path in paths),
    ]


def _unknown(request: Request) -> Response | None:
    """404 for a model or a version that there is not."""
    name, version = request.path_params["name"], request.path_params.get("version", ROLES[0])
    if name != MODEL:
        return as_json({"error": f"/v2/models/{name[:80]}: unknown model; allowed: {MODEL}"}, 404)
    if version not in ROLES:
        return as_json({"error": f"{ONE}/versions/{version[:80]}: unknown; allowed: {', '.join(ROLES)}"}, 404)
    return None
