"""A worker's thread that obeys the control row. It decides nothing.

It loads and tries a new package off the way of requests, then replaces the one snapshot that requests read. Whatever is
broken (the row, the store, a package), the last good snapshot goes on answering.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

from serving import last_good
from serving import package as packages
from serving.control.state import State
from serving.control.store import Store, StoreError
from serving.engine import Engine
from serving.last_good import LastGood
from serving.live import Live
from serving.package import Package, PackageError

log = logging.getLogger("bentoml.stillroom")
AWAY_MAX_S = 2.0  # longest wait before a store that is away is asked again
BROKEN_MAX_S = 30.0  # longest wait before a package that cannot be loaded is read again


class Follower:
    """Follows one store for one worker. `serve` is called with every new snapshot, and `error` says what is amiss."""

    def __init__(self, configured: Package, serve: Callable[[Live], None], store: Store | None, memory: Path) -> None:
        self.error = ""
        self._configured, self._serve, self._store, self._memory = configured, serve, store, memory
        self._where = store.where if store is not None else ""
        self._poll_s = configured.rollout.control.poll_s
        self._wait_s = self._poll_s
        self._live: Live | None = None
        self._refused: tuple[State, float, float] | None = None  # the row, when to try again, and the wait after that
        self._stop = Event()
        self._thread = Thread(target=self._run, daemon=True, name="follow")

    def boot(self) -> None:
        """Serve the row; else what was served last; else the package that this server was configured with.

        Raises:
            PackageError: None of them can be loaded.
        """
        row = self._read()
        if row is not None and self._follow(row):
            return
        before = last_good.recall(self._memory, self._where)
        if before is not None and before != row and self._follow(before, told=not self.error):
            return
        engine = Engine(self._configured)
        safe = row is not None or before is not None
        self._take(Live.of(engine, share=0.0) if safe else Live.of(engine))

    def start(self) -> None:
        """Follow from now on."""
        if self._store is not None:
            self._thread.start()

    def stop(self) -> None:
        """Follow no longer."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def poll(self) -> None:
        """Look once, and obey. Never raises for what is broken outside."""
        row = self._read()
        if row is None or self._live is None:
            return
        if row == self._live.state:
            self._told("")
            return
        if self._refused is not None and self._refused[0] == row and time.monotonic() < self._refused[1]:
            return
        self._follow(row)

    def _run(self) -> None:
        while not self._stop.wait(self._wait_s * random.uniform(0.8, 1.2)):  # so that workers do not ask in step
            self.poll()

    def _read(self) -> State | None:
        """The row, if there is one and it can be read; the time to the next look grows while the store is away."""
        if self._store is None:
            return None
        try:
            row = self._store.read()
        except StoreError as e:
            self._wait_s = min(self._wait_s * 2, max(AWAY_MAX_S, self._poll_s))
            self._told(str(e))
            return None
        self._wait_s = self._poll_s
        if row is None:
            self._told(f"{self._where}: has no row" if self._live is not None and self._live.generation else "")
        return row

    def _follow(self, row: State, *, told: bool = True) -> bool:
        """Serve what `row` says, and remember it; False, with `error` set, when its package cannot be served."""
        try:
            live = Live.of(self._engine(row), row)
        except Exception as e:
            if not isinstance(e, PackageError):  # a fault of ours must not end the thread either
                log.exception("generation %d", row.generation)
            wait_s = self._refused[2] if self._refused is not None and self._refused[0] == row else 1.0
            self._refused = (row, time.monotonic() + wait_s * random.uniform(0.8, 1.2), min(wait_s * 2, BROKEN_MAX_S))
            self._told(f"generation {row.generation}: {e}")
            return False
        self._refused = None
        self._take(live)
        last_good.remember(self._memory, LastGood(store=self._where, state=row))
        if told:
            self._told("")
        return True

    def _engine(self, row: State) -> Engine:
        """The engine of the row's package: the one that is loaded, when only the share changes."""
        now = self._live
        if now is not None and now.state is not None and row.package == now.state.package:
            if row.package_sha256 in ("", now.package.manifest_sha256):
                return now.engine
        package = packages.read(Path(row.package))
        if row.package_sha256 not in ("", package.manifest_sha256):
            raise PackageError(
                f"{row.package}: manifest.json has SHA-256 {package.manifest_sha256[:12]}..., the control row says"
                f" {row.package_sha256[:12]}...; nothing was loaded"
            )
        if now is not None and now.package.manifest_sha256 == package.manifest_sha256:
            return now.engine
        return Engine(package)

    def _take(self, live: Live) -> None:
        self._live = live
        self._serve(live)
        log.info("serving generation %d: version %s, share %g", live.generation, live.version, live.share)

    def _told(self, error: str) -> None:
        """Keep the fault for whoever asks, and log it once."""
        if error and error != self.error:
            followed = self._live is not None and self._live.state is not None
            log.log(logging.WARNING if followed else logging.INFO, "%s; what was served before goes on", error)
        self.error = error
