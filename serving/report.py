"""A worker's thread that reports: what it counted, what it serves, and what keeps it from serving the row.

A store that is away costs nothing but the report: counts are sums, so the next report has all of it.
"""

from __future__ import annotations

import logging
import os
import random
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Lock, Thread
from uuid import uuid4

from serving import vitals
from serving.control.state import Presence
from serving.control.store import Store, StoreError
from serving.control.tally import Tally
from serving.live import Live
from serving.vitals import Vitals

log = logging.getLogger("bentoml.stillroom")
EVERY_S = 0.5
AWAY_MAX_S = 5.0
LINGER_S = 30.0  # how long a replaced generation is still reported: requests and shadow work in flight count to it


@dataclass
class _Part:
    """The counts of one snapshot, under a name of its own: a generation may come back, with counts from 0."""

    name: str
    live: Live
    until_s: float = float("inf")
    sent: Tally | None = None


class Reporter:
    """Reports one worker to one store, if there is one, and to Prometheus."""

    def __init__(self, store: Store | None, error: Callable[[], str]) -> None:
        self.worker = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:6]}"  # never the name of another process
        self._store, self._error = store, error
        self._lock = Lock()
        self._parts: list[_Part] = []
        self._live: Live | None = None
        self._stop = Event()
        self._thread = Thread(target=self._run, daemon=True, name="report")

    def track(self, live: Live) -> None:
        """Report on `live` from now on, and on what it replaces for a while."""
        with self._lock:
            for part in self._parts:
                part.until_s = min(part.until_s, time.monotonic() + LINGER_S)
            name = f"{self.worker}:{len(self._parts) and uuid4().hex[:6]}"
            self._parts.append(_Part(name, live))
            self._live = live

    def start(self) -> None:
        """Report from now on, and drop what a killed worker, whose place this one takes, last told Prometheus."""
        vitals.bury()
        self._thread.start()

    def stop(self) -> None:
        """Report once more, and no longer."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def report(self) -> None:
        """Report once, to Prometheus alone where there is no store; StoreError when the store is away."""
        found = vitals.measure()
        if self._store is None:
            return
        with self._lock:
            parts, live = tuple(self._parts), self._live
        for part in parts:
            late = time.monotonic() > part.until_s
            part.live.counts.inputs(part.live.seen.drain())
            tally = part.live.counts.tally()
            if tally != (part.sent or Tally()):
                self._store.report(part.name, part.live.generation, tally)
                part.sent = tally
            if late:
                with self._lock:
                    self._parts.remove(part)
        if live is not None:
            self._store.present(self._presence(live, found))

    def _presence(self, live: Live, found: Vitals) -> Presence:
        return Presence(
            worker=self.worker,
            generation=live.generation,
            package_sha256=live.package.manifest_sha256,
            error=self._error(),
            rss_mb=found.resident_bytes / 1e6,
            cpu_s=found.cpu_s,
        )

    def _run(self) -> None:
        wait_s = EVERY_S
        while True:
            stopping = self._stop.wait(wait_s * random.uniform(0.8, 1.2))
            try:
                self.report()
                wait_s = EVERY_S
            except StoreError:  # the follower has told it
                wait_s = min(wait_s * 2, AWAY_MAX_S)
            if stopping:
                return
