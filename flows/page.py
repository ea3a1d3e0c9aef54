"""A server with a page for people, as a process of ours: claim its port, start it, wait until it answers, stop it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tasks.core.errors import StillroomError

LOGS = Path(".stillroom") / "logs"
START_S = 180  # a first start migrates its database; on a busy machine that takes a minute
STOP_S = 10


@dataclass(frozen=True)
class Page:
    """One server to start: how, where it says that it is well, and which option moves it to another port."""

    name: str
    port: int
    option: str
    health: str
    command: tuple[str, ...]
    env: dict[str, str]

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What the server prints."""
        return LOGS / f"ui-{self.name.lower()}.log"


def claim(pages: list[Page]) -> None:
    """StillroomError, before anything is started, when a port is taken or wanted twice."""
    wanted: dict[int, str] = {}
    for page in pages:
        if page.port in wanted:
            raise StillroomError(f"port {page.port}: wanted by both {wanted[page.port]} and {page.option}")
        wanted[page.port] = page.option
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", page.port))
            except OSError as e:
                raise StillroomError(
                    f"port {page.port} on 127.0.0.1, for {page.name}: {e.strerror}; choose another with {page.option}"
                ) from None


def start(page: Page) -> subprocess.Popen[bytes]:
    """Start a server in a process group of its own, which `stop` can end as a whole."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with page.log.open("wb") as log:
        return subprocess.Popen(page.command, env=page.env, stdout=log, stderr=log, start_new_session=True)


def wait_for(page: Page, process: subprocess.Popen[bytes]) -> None:
    """Wait until a page answers; StillroomError when its server ends first or takes too long."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        check_alive(page, process)
        try:
            with urllib.request.urlopen(page.address + page.health, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise StillroomError(f"{page.name}: no answer at {page.address} after {START_S} s; its log: {page.log}")


def check_alive(page: Page, process: subprocess.Popen[bytes]) -> None:
    """StillroomError, with the end of its log, when a server has ended by itself."""
    if process.poll() is not None:
        last = "\n  ".join(page.log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:])
        raise StillroomError(f"{page.name}: ended with status {process.returncode}; log: {page.log}\n  {last}")


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """End each server and its children: asked first, forced after ten seconds."""
    for name in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            try:
                os.killpg(process.pid, name)
            except ProcessLookupError:
                continue
        until = time.monotonic() + STOP_S
        while any(process.poll() is None for process in processes) and time.monotonic() < until:
            time.sleep(0.1)
