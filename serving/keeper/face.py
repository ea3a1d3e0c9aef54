"""What the judge shows on the keeper's port, to everybody who can reach it: GET /findings and GET /metrics."""

from __future__ import annotations

from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from serving.keeper.exposition import Exposition
from serving.refusal import as_json


def routes(exposition: Exposition) -> tuple[BaseRoute, ...]:
    """The two. Both answer from the latest tick: `judged_s` says when that was, by the store's clock."""

    def findings(_: Request) -> Response:
        now = exposition.snapshot
        return as_json(
            {
                "judged_s": now.judged_s,
                "state": now.row and now.row.model_dump(),
                "findings": [finding.model_dump() for finding in now.findings],
                "waits_for": list(now.waits),
            }
        )

    def metrics(_: Request) -> Response:
        return Response(exposition.text(), media_type=CONTENT_TYPE_LATEST)

    return (Route("/findings", findings, methods=["GET"]), Route("/metrics", metrics, methods=["GET"]))
