"""One replica of the service, started to be measured: with a port, a home and cores of its own."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tasks.core.errors import StillroomError

HOST = "127.0.0.1"
START_S = 180.0
STOP_S = 20.0
LOG_LINES = 15


@dataclass(frozen=True)
class Replica:
    """A running server. `cold_start_s`: from the start of its process to the first 200 of /readyz."""

    pid: int
    port: int
    cold_start_s: float
    pinned_cores: int
    info: dict[str, Any]


@contextmanager
def replica(package: Path, *, cores: int, max_concurrency: int) -> Iterator[Replica]:
    """Serve `package` on `cores` cores where that leaves one for the caller, and end it and all its children.

    `max_concurrency` lifts the package's own limit, so that no request is refused. StillroomError with the end of the
    server's log when it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="stillroom-") as home, _apart(cores) as pinned:
        port, log = _free_port(), Path(home) / "server.log"
        began = time.perf_counter()
        with log.open("wb") as out:
            service = ["serve", "serving.service:Stillroom", "--host", HOST, "--port", str(port)]
            process = subprocess.Popen(
                [sys.executable, "-m", "bentoml", *service],
                env={**os.environ, **_environment(package, Path(home), max_concurrency)},
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        pinned()
        try:
            _wait(process, port, log)
            cold_start_s = time.perf_counter() - began
            yield Replica(process.pid, port, cold_start_s, pinned.cores, json.loads(_get(port, "/info")[1]))
        finally:
            _end(process)


class _Pinned:
    """Moves the caller off the cores that it started a child on."""

    def __init__(self, held: set[int], rest: set[int]) -> None:
        self._rest, self.cores = rest, len(held)

    def __call__(self) -> None:
        if self.cores:
            os.sched_setaffinity(0, self._rest)


@contextmanager
def _apart(cores: int) -> Iterator[_Pinned]:
    """Hold what is started next to `cores` cores, until the yielded is called; nothing is done where too few are left.

    A child inherits the affinity of the thread that starts it.
    """
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
    held, rest = set(usable[-cores:]), set(usable[:-cores])
    if not rest:
        yield _Pinned(set(), set())
        return
    os.sched_setaffinity(0, held)
    try:
        yield _Pinned(held, rest)
    finally:
        os.sched_setaffinity(0, usable)


def _environment(package: Path, home: Path, max_concurrency: int) -> dict[str, str]:
    return {
        "STILLROOM_PACKAGE": str(package.resolve()),
        "BENTOML_HOME": str(home),  # two servers with one home delete each other's metrics
        "STILLROOM_CONTROL": "",  # nobody's rollout is followed, and nobody's counts are added to
        "BENTOML_CONFIG_OPTIONS": f"services.stillroom.traffic.max_concurrency={max_concurrency}",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Until /readyz says 200; StillroomError when the server ends or takes too long."""
    end = time.monotonic() + START_S
    while True:
        with suppress(OSError, http.client.HTTPException):
            if _get(port, "/readyz")[0] == 200:
                return
        if process.poll() is not None or time.monotonic() > end:
            why = "ended" if process.poll() is not None else f"was not ready within {START_S:g} s"
            told = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
            raise StillroomError(f"the replica to be measured {why}:\n{told}")
        time.sleep(0.05)


def _get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server and every process that it started."""
    family = []
    with suppress(psutil.NoSuchProcess):
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    process.terminate()
    _, alive = psutil.wait_procs(family, timeout=STOP_S)
    for one in alive:
        one.kill()
    process.wait(STOP_S)
