"""`python -m serving.keeper [--host HOST] [--port PORT] [--offer]`: the one process that moves the control row.

It finds the store as the workers do (STILLROOM_CONTROL, or the package's control.url) and the package as they do
(STILLROOM_PACKAGE). Changes by hand need STILLROOM_ADMIN_TOKEN.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, Protocol

import uvicorn

from serving import package as packages
from serving.control.state import State
from serving.control.store import Store, StoreError, open_store
from serving.keeper import face
from serving.keeper.admin import Admin
from serving.keeper.audit import Audit
from serving.keeper.begin import begin, remember
from serving.keeper.loop import Judge
from serving.keeper.shelf import FOLDER, Shelf
from serving.keeper.status import routes
from serving.keeper.token import Tokens
from serving.keeper.wake import Wake
from serving.package import Package, PackageError
from serving.parent import live_with_parent

log = logging.getLogger("stillroom.keeper")
TICK_S = 1.0
AWAY_MAX_S = 5.0
FORGET_EVERY_S, FORGET_S = 600.0, 7 * 86_400.0  # feedback later than a week is refused anyway
TIDY_EVERY_S = 60.0
URL = "STILLROOM_CONTROL"


class Ticking(Protocol):
    """What the keeper does once a second."""

    def tick(self) -> None:
        """Judge once; StoreError when the store is away."""

    @property
    def findings(self) -> tuple[Any, ...]:
        """What the last judgement found."""


class Keeper:
    """Keeps the row remembered and the store tidy, and lets the judge judge. Nothing that goes wrong ends it."""

    def __init__(
        self, store: Store, package: Package, judge: Ticking | None, *, offer: bool, shelf: Shelf | None = None
    ) -> None:
        self._store, self._package, self._judge, self._offer = store, package, judge, offer
        self._shelf = shelf
        self._row: State | None = None
        self._forget_at_s = self._tidy_at_s = 0.0

    def findings(self) -> tuple[Any, ...]:
        """What the judge found last; none where nobody judges."""
        return self._judge.findings if self._judge is not None else ()

    def run(self) -> None:
        """Tick for ever."""
        wait_s, told = TICK_S, ""
        while True:
            try:
                self.tick()
                wait_s, told = TICK_S, ""
            except StoreError as e:
                wait_s = min(wait_s * 2, AWAY_MAX_S)
                if str(e) != told:
                    log.warning("%s; trying again", e)
                told = str(e)
            except Exception:  # the judge of a rollout must outlive its own faults
                log.exception("tick")
            time.sleep(wait_s)

    def tick(self) -> None:
        """Once: begin where there is no row, remember the row, judge, and now and then let go of what is old."""
        row = self._store.read()
        if row is None or self._offer:
            row = begin(self._store, self._package, Audit(self._store), offer=self._offer)
            self._offer = False
        if row != self._row:
            remember(self._store, row)
            self._row, self._tidy_at_s = row, 0.0
            if self._shelf is not None:
                self._shelf.note(row)
        if self._judge is not None:
            self._judge.tick()
        if time.monotonic() >= self._forget_at_s:
            self._store.forget(FORGET_S)
            self._forget_at_s = time.monotonic() + FORGET_EVERY_S
        if self._shelf is not None and time.monotonic() >= self._tidy_at_s:
            self._shelf.tidy(self._store.presences(), self._store.now_s())
            self._tidy_at_s = time.monotonic() + TIDY_EVERY_S


def main(arguments: list[str]) -> int:
    """Run until a signal; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m serving.keeper", description="Moves the control row.")
    parser.add_argument("--host", default="127.0.0.1", help="of the admin API (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=3001, help="of the admin API (default: 3001)")
    parser.add_argument("--offer", action="store_true", help="offer STILLROOM_PACKAGE when the row is about another")
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    live_with_parent()
    try:
        package = packages.read(packages.folder())
        url = os.environ.get(URL, package.rollout.control.url)
        if not url:
            raise StoreError("control.url is empty: without a control plane there is nothing to keep")
        store = open_store(url, create=True)
    except (PackageError, StoreError) as e:
        print(f"stillroom: {e}", file=sys.stderr)
        return 1
    judge = Judge(store, package)
    fetched = os.environ.get(FOLDER)
    shelf = Shelf(Path(fetched), store.where) if fetched else None
    keeper = Keeper(store, package, judge, offer=asked.offer, shelf=shelf)
    threading.Thread(target=keeper.run, daemon=True, name="keeper").start()
    tokens = Tokens.read()
    shown = (*routes(store, package.rollout.stages, keeper.findings), *face.routes(judge.exposition))
    app = Admin(store, tokens, (Wake(Audit(store), tokens).route, *shown), judge.decisions).app
    uvicorn.run(
        app,
        host=asked.host,
        port=asked.port,
        log_level="warning",
        access_log=False,
        limit_concurrency=64,
        timeout_graceful_shutdown=3,
    )
    judge.notifier.close()
    store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
