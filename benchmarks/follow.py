"""How soon workers obey: from the keeper's answer to a change until every connection is answered by the new row.

    python benchmarks/follow.py [--workers 2] [--changes 40] > table.md

A real `stillroom serve` over a package made by hand. Sixteen connections, each of which stays with one worker, ask all
the time: the light load, too. Changes of the share and swaps of the package take turns; a quantity is the time of the
last connection, so of the slowest worker. A request that is lost or answered by anything but 200 is counted.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from pathlib import Path

import httpx
import numpy as np

from tasks.live.keeper import Keeper
from tests import made_package
from tests.e2e.load import IMAGES
from tests.e2e.supervised import CALM, CONTROL, Serve, bare, until

CONNECTIONS = 16
PAUSE_S = 0.01


class Asking(threading.Thread):
    """One connection, and the first time at which it was answered by each generation."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url, self.stopped = url, threading.Event()
        self.seen: dict[int, float] = {}
        self.answered = self.lost = 0

    def run(self) -> None:
        """Ask until stopped."""
        with httpx.Client(base_url=self.url, timeout=30, trust_env=False) as client:
            while not self.stopped.wait(PAUSE_S):
                try:
                    answer = client.post("/predict", json={"inputs": IMAGES.tolist(), "user_id": "u"})
                    self.seen.setdefault(int(answer.headers["X-Stillroom-Generation"]), time.monotonic())
                    self.answered += 1
                except (httpx.TransportError, KeyError):
                    self.lost += 1


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--changes", type=int, default=40, help="of each kind")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = bare(Path(name) / "checkout")
        made_package.make(root / "results" / "package", stages=[0.5], control=CONTROL, **CALM)
        other = made_package.make(root / "other", seed=2, stages=[0.5], control=CONTROL, **CALM)
        server = Serve(root, "--candidate", "--workers", str(asked.workers))
        try:
            until(server.ready, "ready")
            until(lambda: server.followed_by(asked.workers, 1), "followed")
            measure(server, (root / "results" / "package", other), asked.changes)
        finally:
            server.stop()
            server.sweep()


def measure(server: Serve, packages: tuple[Path, Path], changes: int) -> None:
    """Make the changes, and print how soon each was obeyed."""
    token = (server.root / ".stillroom" / "secrets" / "admin_token").read_text().strip()
    keeper = Keeper(server.keeper.url, token)
    connections = [Asking(server.url) for _ in range(CONNECTIONS)]
    for one in connections:
        one.start()
    found: dict[str, list[float]] = {"share": [], "package": []}
    for k in range(2 * changes):
        expected = server.row().generation
        if k % 2:
            row = keeper.change(
                "package", expected, package=str(packages[(k // 2 + 1) % 2]), version="candidate", share=0.5
            )
        else:
            row = keeper.change("share", expected, share=0.2 + 0.6 * np.random.default_rng(k).random())
        began = time.monotonic()
        until(lambda g=row.generation: all(g in one.seen for one in connections), "all answer by it")  # type: ignore[misc]
        found["package" if k % 2 else "share"].append(max(one.seen[row.generation] for one in connections) - began)
    for one in connections:
        one.stopped.set()
        one.join()
    print("| change | n | median | 90 % | greatest | within 1 s |\n| --- | --- | --- | --- | --- | --- |")
    for kind, seconds in found.items():
        median, high, most = np.quantile(seconds, [0.5, 0.9, 1.0])
        within = sum(one <= 1 for one in seconds)
        print(f"| {kind} | {len(seconds)} | {median:.2f} s | {high:.2f} s | {most:.2f} s | {within} |")
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    answered, lost = sum(one.answered for one in connections), sum(one.lost for one in connections)
    print(f"\n{answered} answers meanwhile, {lost} lost; load average {busy:.1f} a core.")


if __name__ == "__main__":
    main()
