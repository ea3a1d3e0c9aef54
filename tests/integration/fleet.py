"""A driver and workers, each a checkout of its own; all that they share is a bucket of a real S3 endpoint (moto's)."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import psutil
import yaml

from tests.integration.conftest import Checkout, environment

AWS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
START_WITHIN_S = 120
TIMED = {"bench", "choose", "package", "report"}  # what depends on timings differs between any two runs


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(what: str, look: Callable[[], Any], within_s: float = START_WITHIN_S) -> Any:
    """The first true answer of `look`."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.2)
    raise AssertionError(f"{what} did not come within {within_s} s")


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5):
            return True
    except (URLError, OSError):
        return False


@contextmanager
def process(command: list[str], cwd: Path, log: Path, **more: str) -> Iterator[psutil.Process]:
    """A process with all that it starts, gone at the end."""
    with log.open("wb") as out:
        started = subprocess.Popen(command, cwd=cwd, env={**environment(), **AWS, **more}, stdout=out, stderr=out)
    try:
        yield psutil.Process(started.pid)
    finally:
        end(psutil.Process(started.pid) if started.poll() is None else None)
        started.wait(30)


def end(root: psutil.Process | None, with_signal: int = signal.SIGTERM) -> None:
    """Stop a process and everything below it."""
    if root is None:
        return
    family = [*root.children(recursive=True), root]
    for one in family:
        try:
            one.send_signal(with_signal)
        except psutil.NoSuchProcess:
            continue
    for left in psutil.wait_procs(family, timeout=15)[1]:
        left.kill()


@contextmanager
def s3(folder: Path) -> Iterator[str]:
    """The address of an S3 endpoint."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with process([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], folder, folder / "s3.log"):
        wait_for("S3", lambda: answers(url))
        yield url


@dataclass
class Fleet:
    """A driver's checkout, and clones of it for workers."""

    driver: Checkout
    workers: list[Checkout] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, ok: bool = True) -> str:
        """`stillroom run` in the driver's checkout, with these settings in its environment."""
        done = subprocess.run(
            [sys.executable, "-m", "flows.cli", "run", *arguments],
            cwd=self.driver.root,
            env={**environment(), **AWS, **self.settings},
            capture_output=True,
            text=True,
            timeout=1800,
        )
        text = done.stdout + done.stderr
        assert (done.returncode == 0) == ok, f"{arguments} ended with {done.returncode}:\n{text}"
        return text

    def commit(self, message: str) -> None:
        """Commit the driver's edits; workers have them once they `follow`."""
        git(self.driver.root, "commit", "-qam", message)

    def follow(self) -> None:
        """Bring the workers' checkouts to the driver's commit."""
        for worker in self.workers:
            git(worker.root, "checkout", "-q", ".")
            git(worker.root, "pull", "-q", "--ff-only")

    def command(self, worker: Checkout, runner: str, address: str) -> list[str]:
        return [sys.executable, "-m", "flows.cli", "worker", "--runner", runner, "--address", address]


def git(root: Path, *arguments: str) -> None:
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)


def set_up(checkout: Checkout) -> None:
    """Two rows, so that there is something to do side by side, and raw data that workers must fetch to prepare."""
    checkout.edit("params/plan.yaml", "  baseline_int8: {from: baseline, technique: quantize, scheme: static}\n", "")
    (checkout.root / "data/raw.txt").write_text("raw data that DVC tracks\n")
    checkout.dvc("add", "-q", "data/raw.txt")


def fleet(driver: Checkout, endpoint: str, bucket: str) -> Fleet:
    """A driver whose DVC remote is a new bucket, and two clones of it."""
    with urlopen(Request(f"{endpoint}/{bucket}", method="PUT"), timeout=10):
        pass
    set_up(driver)
    driver.dvc("remote", "add", "-q", "-d", "shared", f"s3://{bucket}/store")
    driver.dvc("remote", "modify", "-q", "shared", "endpointurl", endpoint)
    git(driver.root, "add", "-A")
    git(driver.root, "commit", "-qm", "a remote, and raw data on it")
    workers = []
    for number in (1, 2):
        root = driver.root.parent / f"worker{number}"
        git(driver.root.parent, "clone", "-q", str(driver.root), str(root))
        workers.append(Checkout(root))
    return Fleet(driver, workers)


@contextmanager
def at_work(fleet: Fleet, runner: str, address: str, ready: str = "") -> Iterator[list[psutil.Process]]:
    """Both workers, at work; nothing of either is shared with the other or with the driver.

    Each is awaited until it has said `ready`: nodes of Ray that start at one moment on one machine hinder each other.
    """
    with ExitStack() as stack:
        started = []
        for worker in fleet.workers:
            own = {**fleet.settings, "DVC_SITE_CACHE_DIR": str(worker.root / ".stillroom/dvc")}
            log = worker.root.with_suffix(".log")
            command = fleet.command(worker, runner, address)
            started.append(stack.enter_context(process(command, worker.root, log, **own)))
            wait_for(f"{log.name}: {ready!r}", lambda log=log: ready in log.read_text())
        yield started


def stages(checkout: Checkout) -> dict[str, dict[str, Any]]:
    """The stages of dvc.lock."""
    found: dict[str, dict[str, Any]] = yaml.safe_load((checkout.root / "dvc.lock").read_text())["stages"]
    return found


def record(checkout: Checkout) -> dict[str, dict[str, Any]]:
    """How each stage of the driver's last run went, and by whom."""
    found = json.loads((checkout.root / ".stillroom/run.json").read_text())["stages"]
    return {name: stage for name, stage in found.items() if name != "track"}


def same_but_for_timings(one: Checkout, other: Checkout) -> None:
    """Assert that two dvc.locks say the same; where timings enter, that they name the same inputs and outputs."""
    left, right = stages(one), stages(other)
    assert set(left) == set(right)
    for name in left:
        if name not in TIMED:
            assert left[name] == right[name], name
            continue
        for key in ("cmd", "params"):
            assert left[name].get(key) == right[name].get(key), name
        for key in ("deps", "outs"):
            paths = [[(entry["path"], entry["hash"]) for entry in side[name][key]] for side in (left, right)]
            assert paths[0] == paths[1], name
        assert list(left[name]) == list(right[name])


def kill(root: psutil.Process) -> None:
    """End a process and everything below it, as a machine that loses its power does."""
    end(root, signal.SIGKILL)


def caught(fleet: Fleet, stage: str) -> tuple[Path, int]:
    """The checkout in which a stage's step is at work right now, and the step's process id."""

    def look() -> tuple[Path, int] | None:
        for process in psutil.process_iter(["cmdline"]):
            if (process.info["cmdline"] or [])[1:] != ["-m", "tasks", *stage.split("@")]:
                continue
            try:
                here = Path(process.cwd())
            except psutil.Error:
                continue
            if here in [worker.root for worker in fleet.workers]:
                return here, process.pid
        return None

    found: tuple[Path, int] = wait_for(f"{stage} at work", look)
    return found


def gone(pid: int) -> None:
    """Assert that a process ends within moments."""
    wait_for(f"the end of process {pid}", lambda: not psutil.pid_exists(pid), 15)
