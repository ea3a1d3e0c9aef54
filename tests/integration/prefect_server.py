"""A real Prefect server, and the two ways that tests ask it things."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import psutil

from flows.environment import quiet

START_WITHIN_S = 180
ANSWER_WITHIN_S = 120


def ask(api: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """One call of Prefect's API; asked again, as Prefect's own client does, while its database is locked (503)."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(f"{api}{path}", data=data, headers={"content-type": "application/json"})
    for last in (False,) * 9 + (True,):
        try:
            with urlopen(request, timeout=ANSWER_WITHIN_S) as answer:
                return json.load(answer)
        except HTTPError as e:
            if e.code != 503 or last:
                raise
            time.sleep(2)


def wait_until(what: str, within_s: float, look: Callable[[], Any]) -> Any:
    """The first true answer of `look`."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(1)
    raise AssertionError(f"{what} did not come within {within_s} s")


@contextmanager
def server(home: Path, environment: dict[str, str]) -> Iterator[str]:
    """The API of a server of the test's own, which is stopped, and seen to be gone, afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    log = home / "server.log"
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as out:
        server = subprocess.Popen(
            command, env={**environment, **quiet(), "PREFECT_HOME": str(home)}, stdout=out, stderr=out, cwd=home
        )

    def healthy() -> bool:
        assert server.poll() is None, f"the server ended:\n{log.read_text()[-4000:]}"
        try:
            return ask(url, "/health") is True
        except (URLError, OSError):
            return False

    family: list[psutil.Process] = []
    try:
        wait_until("the server", START_WITHIN_S, healthy)
        family = psutil.Process(server.pid).children(recursive=True)
        yield url
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(30)
        _, left = psutil.wait_procs(family, timeout=30)
        for process in left:
            process.kill()
    assert not psutil.pid_exists(server.pid)
