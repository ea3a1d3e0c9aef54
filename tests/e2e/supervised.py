"""`stillroom serve` in a bare checkout, and what a person, a script and a murderer can do to it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import psutil

from flows import supervise
from tasks.core.errors import KeeperError
from tasks.live.keeper import Keeper
from tasks.live.shapes import Row

ROOT = Path(__file__).parents[2]
# Random models disagree and a busy machine is slow: nothing here is for the keeper to judge.
CALM = {"shadow": {"share": 0.0}, "judge": {"p95_ms": 60_000.0, "hold_s": 3600.0}}
CONTROL = {"url": "sqlite:///.stillroom/control/rollout.db", "poll_s": 0.2}
DATABASE = Path(".stillroom") / "control" / "rollout.db"


def until(done: Callable[[], object], what: str, within_s: float = 90) -> float:
    """Wait until `done`; how many seconds it took."""
    start = time.monotonic()
    while not done():
        assert time.monotonic() < start + within_s, what
        time.sleep(0.02)
    return time.monotonic() - start


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def bare(root: Path) -> Path:
    """A folder in which the `stillroom` command finds a plan, and nothing else."""
    root.mkdir()
    shutil.copy(ROOT / "dvc.yaml", root)
    shutil.copytree(ROOT / "params", root / "params")
    return root


def environment(**more: str) -> dict[str, str]:
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("STILLROOM_", "PROMETHEUS_", "BENTOML", "MLFLOW_"))
    }
    return {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **more}


def stillroom(root: Path, *arguments: str, ok: bool = True, **more: str) -> str:
    """A command of a person in that checkout; its output."""
    command = [sys.executable, "-m", "flows.cli", *arguments]
    done = subprocess.run(command, cwd=root, env=environment(**more), capture_output=True, text=True, timeout=120)
    assert (done.returncode == 0) == ok and "Traceback" not in done.stderr, done.stdout + done.stderr
    return done.stdout + done.stderr


class Serve:
    """One `stillroom serve`."""

    def __init__(self, root: Path, *arguments: str, **more: str) -> None:
        self.root, self.port, self.admin_port = root, free_port(), free_port()
        self.log = root / f"{self.port}.log"
        ports = ("--port", str(self.port), "--admin-port", str(self.admin_port))
        command = [sys.executable, "-m", "flows.cli", "serve", *ports, *arguments]
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                command, cwd=root, env=environment(**more), stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.url, self.keeper = f"http://127.0.0.1:{self.port}", Keeper(f"http://127.0.0.1:{self.admin_port}")
        self.client = httpx.Client(base_url=self.url, timeout=30, trust_env=False)
        self.ended = False

    def ready(self) -> bool:
        if self.ended:
            return False
        assert self.process.poll() is None, self.said()
        return supervise.answers(f"{self.url}/readyz")

    def said(self) -> str:
        return self.log.read_text()

    def row(self) -> Row:
        found = self.keeper.row()
        assert found is not None
        return found

    def processes(self) -> dict[int, str]:
        """What this server started that is still alive, and the name of the server that each belongs to."""
        found = {}
        for process in psutil.process_iter():
            try:
                env = process.environ()
                if env.get("STILLROOM_PARENT") == str(self.process.pid) and process.status() != psutil.STATUS_ZOMBIE:
                    found[process.pid] = env[supervise.MARK].partition("-")[0]
            except (psutil.Error, OSError):
                continue
        return found

    def of(self, name: str) -> int:
        """The first process of a server."""
        return min(pid for pid, server in self.processes().items() if server == name)

    def followed_by(self, count: int, generation: int) -> bool:
        """Whether so many workers, seen just now, serve this generation without trouble, and no others are there."""
        try:
            fresh = [worker for worker in self.keeper.workers() if worker.age_s < 2]
        except KeeperError:
            return False
        return len(fresh) == count and all((w.generation, w.error) == (generation, "") for w in fresh)

    def stop(self, name: signal.Signals = signal.SIGTERM) -> None:
        """End it by a signal."""
        self.client.close()
        self.ended = True
        if self.process.poll() is None:
            os.kill(self.process.pid, name)
        self.process.wait(30)

    def sweep(self) -> None:
        """Kill whatever a failed test left."""
        self.stop(signal.SIGKILL)
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
