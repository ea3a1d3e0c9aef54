"""What a driver asks of another checkout, and what it gets back: the only two things that travel between them.

Results themselves travel through DVC's remote. An order holds the driver's dvc.lock, which names the very bytes that
the stages before gave; its answer holds the one entry of dvc.lock that was added.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from tasks.core.errors import StillroomError
from tasks.core.frozen import Frozen

How = Literal["computed", "restored", "reused", "failed", "refused"]


class MissingExtraError(StillroomError):
    """A runner's library is not installed; the message names the extra."""


class NoWorkerError(StillroomError):
    """Nobody can be asked: no scheduler, cluster, pool or worker at the address."""


class WorkerLostError(StillroomError):
    """A worker ended with a stage in hand, which another one may still do."""


class Order(Frozen):
    """One stage to bring up to date at git commit `revision`, where dvc.lock reads `lock`."""

    stage: str
    revision: str
    force: bool = False
    lock: str = ""


class Done(Frozen):
    """How a stage went, by whom, its entry of dvc.lock, and the end of its log; `why` it failed, where it did.

    `worked_s`: how long processors worked for it, where it was computed.
    """

    stage: str
    how: How
    worker: str = ""
    why: str = ""
    worked_s: float | None = None
    entry: dict[str, Any] = Field(default_factory=dict)
    log: tuple[str, ...] = ()
