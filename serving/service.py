"""The BentoML service: both models in one worker, routed in process.

    STILLROOM_PACKAGE=results/package BENTOML_HOME=.stillroom/bentoml \\
        python -m bentoml serve serving.service:Stillroom --host 127.0.0.1 --port 3000

Every running server needs a BENTOML_HOME of its own: a starting server deletes the metrics of any other that shares it.
The package is verified when this module is imported, so a changed file stops the start and not a request.
"""

from __future__ import annotations

import gc
import os

os.environ["BENTOML_DO_NOT_TRACK"] = "True"

import bentoml
from bentoml._internal.configuration.containers import BentoMLContainer

from serving.front import Front
from serving.leave import linger
from serving.metrics import SECONDS
from serving.package import PackageError
from serving.parent import live_with_parent
from serving.ticket import KeyTooShortError
from serving.web import Web
from serving.worker import Worker, configured

live_with_parent()  # here, so that BentoML's own process does, too
try:
    PACKAGE = configured()
    WEB = Web(PACKAGE.rollout)
except (PackageError, KeyTooShortError) as e:
    raise SystemExit(f"stillroom: {e}") from None  # the message alone, not BentoML's traceback around it

_ROLLOUT = PACKAGE.rollout


def most_at_once() -> int:
    """Requests at once in this worker, as BentoML is configured.

    BENTOML_CONFIG_OPTIONS, BentoCloud and the workers that `serve` was asked for come before rollout.yaml. BentoML's
    own limit does not see what `Front` takes.
    """
    found = BentoMLContainer.config.services.get().get("stillroom", {})
    allowed = found.get("traffic", {}).get("max_concurrency") or _ROLLOUT.limits.concurrency
    workers = found.get("workers")
    return -(-allowed // (workers if isinstance(workers, int) and workers > 0 else _ROLLOUT.workers))


# No depends() on the way of a request: its session rotation in BentoML 1.4 fails a share of the requests under load.
@bentoml.asgi_app(WEB.app, path="/", name="stillroom")
@bentoml.service(
    name="stillroom",
    workers=_ROLLOUT.workers,
    traffic={"timeout": _ROLLOUT.limits.timeout_s, "max_concurrency": _ROLLOUT.limits.concurrency},
    metrics={"duration": {"buckets": list(SECONDS)}},
    logging={"access": {"enabled": False}},
)
class Stillroom:
    """Stillroom's package: a reference model and its compressed variant, split by user."""

    def __init__(self) -> None:
        WEB.answers.most = most_at_once()
        self.worker = Worker(WEB, PACKAGE)
        self.worker.start()
        WEB.shadow.start()
        gc.freeze()  # what was imported and loaded stays; collecting garbage need not look at it again and again
        linger(PACKAGE.rollout.limits.drain_s, WEB.leave)

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def stop(self) -> None:
        """Compare no more, and report what was counted last."""
        WEB.shadow.close()
        self.worker.stop()

    def __is_ready__(self) -> bool:
        """Whether it may be sent requests; BentoML's /readyz asks."""
        return WEB.ready


Stillroom.add_asgi_middleware(Front, find=WEB.find)  # type: ignore[attr-defined]
