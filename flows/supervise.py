"""Keeps servers running: starts each one anew when it dies, and leaves no process behind when it ends itself.

BentoML's workers have sessions of their own and outlive a killed parent, so a process group is not enough: every
process of a server carries a mark in its environment, by which it is found.
"""

from __future__ import annotations

import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

import psutil

from tasks.core.errors import StillroomError

MARK = "STILLROOM_SERVER"
AGAIN_S, AGAIN_MAX_S = 1.0, 30.0  # until a dead server is started anew, doubling
STEADY_S = 60.0  # a server that worked for so long has earned the short wait back
STOP_S = 10.0
ASK_S = 1.0
KILLS = 10
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Server:
    """One server: how to start it, and where it says that it works.

    again: how to start it anew, where that is another command
    ready: a URL that answers 200 once it works; empty = it works as soon as it runs
    vital: when it ends before it ever worked, everything ends, with the reason
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    again: tuple[str, ...] = ()
    ready: str = ""
    vital: bool = True


class Kept:
    """One server that is kept running. `look` is called often; it never waits for long."""

    def __init__(self, server: Server, told: Callable[[str], None]) -> None:
        self.server, self._told = server, told
        self.works = False
        self._worked_once = not server.vital
        self._wait_s, self._start_at_s, self._began_s = AGAIN_S, 0.0, 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._mark = ""

    def look(self) -> None:
        """Start it when it is time, and notice that it works or died. StillroomError: it ended and never worked."""
        now_s = time.monotonic()
        if self._process is None:
            if now_s >= self._start_at_s:
                self._start(now_s)
        elif (status := self._process.poll()) is not None:
            self._died(status, now_s)
        elif not self.works and (not self.server.ready or answers(self.server.ready)):
            self.works = self._worked_once = True
        elif self.works and now_s - self._began_s > STEADY_S:
            self._wait_s = AGAIN_S

    def ask_to_stop(self) -> None:
        """SIGTERM to its first process, which passes it on as it sees fit."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def end(self, within_s: float) -> None:
        """Wait for its end for so long, then kill whatever of it is left."""
        if self._process is not None:
            try:
                self._process.wait(max(within_s, 0))
            except subprocess.TimeoutExpired:
                self._told(f"the {self.server.name} did not stop within {STOP_S:g} s; killing it")
            kill(self._mark)
            self._process.wait()
            self._process = None

    def _start(self, now_s: float) -> None:
        command = (self.server.again if self._mark else ()) or self.server.command
        self._mark, self._began_s, self.works = f"{self.server.name}-{uuid4().hex}", now_s, False
        environment = {**self.server.env, MARK: self._mark}
        self._process = subprocess.Popen(command, env=environment, start_new_session=True)

    def _died(self, status: int, now_s: float) -> None:
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        kill(self._mark)  # its workers would hold the port
        self._process, self.works = None, False
        if not self._worked_once:
            raise StillroomError(f"the {self.server.name} {how} before it answered; what it said stands above")
        self._told(f"the {self.server.name} {how}; starting it again in {self._wait_s:g} s")
        self._start_at_s = now_s + self._wait_s
        self._wait_s = min(self._wait_s * 2, AGAIN_MAX_S)


def stop(kept: list[Kept]) -> None:
    """End them all, at the same time and within some seconds."""
    until_s = time.monotonic() + STOP_S
    for one in kept:
        one.ask_to_stop()
    for one in kept:
        one.end(until_s - time.monotonic())


def kill(mark: str) -> None:
    """Kill every process that carries `mark`, also those that come while it looks; not one that the kernel holds."""
    for _ in range(KILLS):
        found = [p for p in psutil.process_iter() if _carries(p, mark)]
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if not found:
            return
        psutil.wait_procs(found, timeout=1)


def _carries(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):  # another user's, or gone
        return False


def answers(url: str) -> bool:
    """Whether `url` answers 200."""
    try:
        with _DIRECT.open(url, timeout=ASK_S) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
