"""A real keeper process, one after another over the same store, for tests."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from serving.control.state import State
from serving.control.store import Store, open_store

TOKEN = "correct horse"
WITHIN_S = 120.0


class Keeper:
    """One keeper process after another over the same store."""

    def __init__(self, folder: Path, package: Path, webhook: str = "") -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"sqlite:///{folder / 'rollout.db'}"
        self._environment = {
            **os.environ,
            "STILLROOM_PACKAGE": str(package),
            "STILLROOM_CONTROL": self.url,
            "STILLROOM_WEBHOOK": webhook,
            "STILLROOM_ADMIN_TOKEN": TOKEN,
            "BENTOML_HOME": str(folder / "keeper"),
        }
        self.store: Store = open_store(self.url)
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "serving.keeper", "--port", str(self.port)]
        self.process = subprocess.Popen(command, env=self._environment, cwd=Path(__file__).parents[1])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def get(self, path: str) -> bytes:
        with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            content: bytes = answer.read()
            return content

    def post(self, path: str, **body: Any) -> Any:
        """A change by hand."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        asked = Request(f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode(), headers)
        with urlopen(asked, timeout=30) as answer:
            return json.load(answer)

    @property
    def row(self) -> State:
        found = self.store.read()
        assert found is not None
        return found

    def up(self) -> bool:
        try:
            return bool(json.loads(self.get("/findings"))["findings"])
        except URLError:
            return False

    def report(self, tally: Any) -> None:
        self.store.report("one", self.row.generation, tally)


def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < end, f"{what}: not within {WITHIN_S:g} s"
        time.sleep(0.05)
