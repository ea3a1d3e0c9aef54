"""One worker process: its web face, its follower and its reporter."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from serving import last_good
from serving import package as packages
from serving.control.store import Store, StoreError, open_store
from serving.follow import Follower
from serving.live import Live
from serving.package import Package, PackageError
from serving.report import Reporter
from serving.shapes import Rollout
from serving.web import Web

URL = "STILLROOM_CONTROL"  # instead of the package's control.url; empty = no control plane


def store_of(rollout: Rollout) -> Store | None:
    """The control plane, if there is one; SystemExit when its URL is wrong."""
    url = os.environ.get(URL, rollout.control.url)
    try:
        return open_store(url) if url else None
    except StoreError as e:
        raise SystemExit(f"stillroom: {e}") from None


def configured() -> Package:
    """The package to start with. One that was changed on disk stops a first start, but not a worker's return.

    Raises:
        PackageError: It is broken, and this server never served another one.
    """
    try:
        return packages.read(packages.folder())
    except PackageError as e:
        before = last_good.recall(last_good.place())
        if before is None:
            raise
        print(f"stillroom: {e}; starting with what was served last, {before.package}", file=sys.stderr)
        return packages.read(Path(before.package))


class Worker:
    """Follows the control plane, where there is one."""

    def __init__(self, web: Web, package: Package) -> None:
        self._web, store = web, store_of(package.rollout)
        self.follower = Follower(package, self._serve, store, last_good.place())
        web.behind = lambda: bool(self.follower.error)
        if store is not None:
            web.first_time = store.first_time
        self.reporter = Reporter(store, lambda: self.follower.error)

    def start(self) -> None:
        """Serve the first snapshot, then follow and report."""
        self.follower.boot()
        self.follower.start()
        self.reporter.start()

    def stop(self) -> None:
        """Report what was counted, and end."""
        self.follower.stop()
        self.reporter.stop()

    def _serve(self, live: Live) -> None:
        self._web.serve(live)
        self.reporter.track(live)
