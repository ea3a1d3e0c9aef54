"""The audit log as the keeper writes it: what was done and what was refused, never a token."""

from __future__ import annotations

import logging
import time
from threading import Lock

from serving.control.state import Event, Kind
from serving.control.store import Store, StoreError

log = logging.getLogger("stillroom.keeper")
REFUSALS_A_MINUTE = 60  # written one by one; whoever guesses tokens must not fill the disk


class Audit:
    """Writes events. A store that cannot take one is told in the process's own log; the change itself stands."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = Lock()
        self._minute, self._written, self._left_out = 0, 0, 0

    def write(self, kind: Kind, actor: str, generation: int, reason: str, **numbers: float | str) -> bool:
        """Add one event; False, told in the log, when it could not be written."""
        event = Event(actor=actor, kind=kind, generation=generation, reason=reason, numbers=numbers)
        try:
            self._store.append(event)
        except StoreError as e:
            log.error("audit: %s; not written: %s", e, event.model_dump_json())
            return False
        return True

    def refused(self, actor: str, what: str) -> None:
        """Add a refusal, unless there were too many this minute: then the next one says how many were left out."""
        minute = int(time.monotonic() // 60)
        with self._lock:
            if minute != self._minute:
                self._minute, self._written = minute, 0
            if self._written >= REFUSALS_A_MINUTE:
                self._left_out += 1
                return
            self._written += 1
            left_out, self._left_out = self._left_out, 0
        numbers = {"left_out": float(left_out)} if left_out else {}
        self.write("refused", actor, 0, what, **numbers)
