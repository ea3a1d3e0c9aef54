"""The audit log as the keeper writes it: what was done and what was refused, never a token."""

from __future__ import annotations

import logging
import time
from collections import deque
from threading import Lock

from serving.control.state import Event, Kind
from serving.control.store import Store, StoreError

UNWRITTEN_MAX = 1000
log = logging.getLogger("stillroom.keeper")
REFUSALS_A_MINUTE = 60  # written one by one; whoever guesses tokens must not fill the disk


class Audit:
    """Writes events. One that the store cannot take is told in the process's own log, kept, and written when it can.

    The change that it tells of stands in any case: harm is taken back whether or not it can be written down.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = Lock()
        self._minute, self._written, self._left_out = 0, 0, 0
        self._unwritten: deque[Event] = deque(maxlen=UNWRITTEN_MAX)

    def write(self, kind: Kind, actor: str, generation: int, reason: str, **numbers: float | str) -> bool:
        """Add one event; False, told in the log, when it could not be written yet."""
        self.flush()
        event = Event(actor=actor, kind=kind, generation=generation, reason=reason, numbers=numbers)
        try:
            self._store.append(event)
        except StoreError as e:
            log.error("audit: %s; not written yet: %s", e, event.model_dump_json())
            late = event.model_copy(update={"numbers": {**numbers, "happened_s": time.time()}})
            with self._lock:
                self._unwritten.append(late)
            return False
        return True

    def flush(self) -> None:
        """Write what could not be written before, as far as it can be now. A lost answer may write an event twice."""
        with self._lock:
            try:
                while self._unwritten:
                    self._store.append(self._unwritten[0])
                    self._unwritten.popleft()
            except StoreError:
                return

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
