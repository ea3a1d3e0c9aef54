"""Two workers and the keeper over a small disk, and what can be asked of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from benchmarks.peers import servers
from benchmarks.trouble import keeper
from benchmarks.trouble.load import Load
from benchmarks.trouble.made import package
from serving.control.store import Store, open_store

TOKEN = "a token for this benchmark alone"
WORKERS = 2


class Trouble:
    """The running system, and what can be done to it."""

    def __init__(self, root: Path, disk: Path, store: Store, admin: httpx.Client, load: Load) -> None:
        self.root, self.disk, self.store, self.admin, self.load = root, disk, store, admin, load

    def pids(self) -> set[int]:
        """Workers that were seen within two seconds."""
        now_s = self.store.now_s()
        return {int(p.worker.split(":")[1]) for p in self.store.presences() if now_s - p.seen_s < 2}

    def generation(self) -> int:
        """Of the row."""
        row = self.store.read()
        assert row is not None, "the keeper made one"
        return row.generation

    def settled(self) -> bool:
        """Whether all workers serve the row."""
        now_s, row = self.store.now_s(), self.generation()
        seen = [p for p in self.store.presences() if now_s - p.seen_s < 2]
        return len(seen) == WORKERS and all(p.generation == row and not p.error for p in seen)

    def offer(self, name: str, share: float, **kind: str) -> httpx.Response:
        """Ask the keeper for another package."""
        made = package(self.root / name, name, **kind)
        asked = {"expected": self.generation(), "package": str(made), "version": name, "share": share}
        return self.admin.post("/package", json=asked)

    def shared(self, share: float) -> None:
        """Ask the keeper for a share."""
        self.admin.post("/share", json={"expected": self.generation(), "share": share}).raise_for_status()


def until(done: Callable[[], bool], what: str) -> float:
    """Seconds until it is so; ends the benchmark when it does not come."""
    start = time.monotonic()
    while not done():
        if time.monotonic() > start + 120:
            sys.exit(f"not within 120 s: {what}")
        time.sleep(0.02)
    return time.monotonic() - start


@contextmanager
def system(root: Path, disk: Path) -> Iterator[Trouble]:
    """Two workers and the keeper over a first package whose treatment agrees with its control."""
    first = package(root / "first", "first")
    url = f"sqlite:///{disk / 'rollout.db'}"
    env = {"STILLROOM_CONTROL": url, "STILLROOM_ADMIN_TOKEN": TOKEN, "STILLROOM_PACKAGE": str(first)}
    with ExitStack() as stack:
        port = stack.enter_context(
            keeper.running_keeper(env | {"BENTOML_HOME": str(root / "home")}, root / "keeper.log")
        )
        server = stack.enter_context(servers.stillroom(first, root / "home", STILLROOM_CONTROL=url))
        store = open_store(url)
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        admin = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=bearer, timeout=30, trust_env=False)
        stack.callback(admin.close)
        load = stack.enter_context(Load(f"http://127.0.0.1:{server.port}", root))
        trouble = Trouble(root, disk, store, admin, load)
        until(trouble.settled, "both workers serve the first row")
        trouble.shared(0.5)
        until(trouble.settled, "half of the users get the treatment")
        yield trouble
