"""Whether a flow run on some machine still lives: Prefect marks one as crashed only if its worker is left to say so."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

BEAT_S = 30  # the shortest that Prefect takes
PATIENCE_S = {"PENDING": 1200.0, "RUNNING": 5.0 * BEAT_S}  # a pending one may be pulling an image
ENVIRONMENT = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(BEAT_S)}


class Pulse:
    """Signs of life by this process's own clock, since those of machines differ."""

    def __init__(self, now: Callable[[], float] = time.monotonic):
        self._now = now
        self._sign: object = None
        self._since = now()

    def stopped(self, state: str, beat: object) -> bool:
        """Whether nothing new was seen for too long; `beat` is anything that changes with each heartbeat.

        A run that waits for a worker is never given up.
        """
        if (state, beat) != self._sign:
            self._sign, self._since = (state, beat), self._now()
        return self._now() - self._since > PATIENCE_S.get(state, float("inf"))


def last_beat(client: Any, run: Any) -> object:
    """When a flow run last sent its heartbeat, by its own machine's clock; None before the first."""
    from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter

    beats = EventFilter(
        event=EventNameFilter(name=["prefect.flow-run.heartbeat"]),
        resource=EventResourceFilter(id=[f"prefect.flow-run.{run.id}"]),
    )
    found = client.read_events(beats, limit=1).events
    return found[0].occurred if found else None
