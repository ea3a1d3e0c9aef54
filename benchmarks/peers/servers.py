"""Starts the servers of the comparison, each alone in its processes, and ends them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
START_S = 240


@dataclass(frozen=True)
class Server:
    """One that runs."""

    pid: int
    port: int


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: list[str], env: Mapping[str, str], port: int, ready: str, log: Path, cwd: Path = ROOT
) -> Iterator[Server]:
    """A server that answers GET `ready` with 200; everything that it started is gone afterwards."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("STILLROOM_", "PROMETHEUS_", "BENTOML"))}
    clean |= {"BENTOML_DO_NOT_TRACK": "True", "PYTHONPATH": str(ROOT), **env}
    with log.open("w") as out:
        # Linux shares processors out by session first: BentoML's processes have one of their own, so all get one.
        process = subprocess.Popen(
            command, cwd=cwd, env=clean, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait(f"http://127.0.0.1:{port}{ready}", process, log)
        yield Server(process.pid, port)
    finally:
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
        process.terminate()
        _, alive = psutil.wait_procs(family, timeout=20)
        for one in alive:
            one.kill()
        process.wait(20)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        if process.poll() is not None or time.monotonic() > end:
            sys.exit(f"{url} does not answer:\n{log.read_text()[-4000:]}")
        time.sleep(0.3)


@contextmanager
def stillroom(package: Path, home: Path, **env: str) -> Iterator[Server]:
    """`bentoml serve serving.service:Stillroom` over a package."""
    port = free_port()
    command = [sys.executable, "-m", "bentoml", "serve", "serving.service:Stillroom", "--host", "127.0.0.1"]
    told = {"STILLROOM_PACKAGE": str(package), "BENTOML_HOME": str(home), **env}
    with running([*command, "--port", str(port)], told, port, "/readyz", home.with_suffix(".log")) as server:
        yield server


@contextmanager
def plain_fastapi(network: Path, log: Path) -> Iterator[Server]:
    """uvicorn with one worker."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "benchmarks.peers.plain_fastapi:app", "--port", str(port)]
    with running([*command, "--no-access-log"], {"NETWORK": str(network)}, port, "/docs", log) as server:
        yield server


@contextmanager
def plain_bentoml(network: Path, home: Path) -> Iterator[Server]:
    """`bentoml serve` with one worker."""
    port = free_port()
    command = [sys.executable, "-m", "bentoml", "serve", "benchmarks.peers.plain_bentoml:Plain", "--host", "127.0.0.1"]
    env = {"NETWORK": str(network), "BENTOML_HOME": str(home)}
    with running([*command, "--port", str(port)], env, port, "/readyz", home.with_suffix(".log")) as server:
        yield server


@contextmanager
def mlserver(network: Path, python: Path, folder: Path) -> Iterator[Server]:
    """`mlserver start` from an environment of its own, without its pool of processes."""
    folder.mkdir()
    here = Path(__file__).parent / "mlserver"
    for name in ("network.py", "model-settings.json"):
        (folder / name).write_bytes((here / name).read_bytes())
    ports = {"http_port": free_port(), "grpc_port": free_port(), "metrics_port": free_port()}
    settings = {"host": "127.0.0.1", "parallel_workers": 0, "debug": False, **ports}
    (folder / "settings.json").write_text(json.dumps(settings))
    env = {"NETWORK": str(network), "PYTHONPATH": str(folder)}
    command = [str(python), "-m", "mlserver.cli.main", "start", str(folder)]
    log = folder.with_suffix(".log")
    with running(command, env, ports["http_port"], "/v2/models/network/ready", log, folder) as server:
        yield server
