"""`stillroom ui`: the MLflow and Prefect pages on 127.0.0.1, over what the runs of this checkout left behind.

A server of the user's own (MLFLOW_TRACKING_URI, PREFECT_API_URL) has its own page: its address is printed instead.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.environment import quiet
from flows.page import Page, check_alive, claim, start, stop, wait_for

EXPERIMENT = "stillroom"  # this and the next as in tasks.track, which flows may not import
VIEW = "mlflow.sharedViewState.stillroom"
SERVER_ENV = Path("mlflow") / "server.env"


def serve(mlflow_port: int = 5000, prefect_port: int = 4200) -> None:
    """Start both pages, print their addresses once they answer, and stop both on Ctrl-C or SIGTERM.

    Raises:
        StillroomError: A port is taken, or a server ended or did not answer in time.
    """
    env = {**os.environ, **quiet()}
    pages = []
    if (theirs := env.get("MLFLOW_TRACKING_URI", "")).startswith("http"):
        print(f"MLflow   {theirs}  (MLFLOW_TRACKING_URI)")
    else:
        pages.append(_mlflow(mlflow_port, env, theirs))
    if theirs := env.get("PREFECT_API_URL", ""):
        print(f"Prefect  {theirs.removesuffix('/api')}  (PREFECT_API_URL)")
    else:
        pages.append(_prefect(prefect_port, env))
    claim(pages)
    with _interruptible():
        running: list[tuple[Page, subprocess.Popen[bytes]]] = []
        try:
            for page in pages:
                running.append((page, start(page)))
            for page, process in running:
                wait_for(page, process)
                print(f"{page.name:8} {_front(page)}", flush=True)
            if running:
                print("Ctrl-C to stop", flush=True)
            while running:
                for page, process in running:
                    check_alive(page, process)
                time.sleep(0.5)
        except KeyboardInterrupt:
            print("stopping", flush=True)
        finally:
            stop([process for _, process in running])


def _mlflow(port: int, env: dict[str, str], uri: str) -> Page:
    program = (sys.executable, "-m", "mlflow", "--env-file", str(SERVER_ENV), "server")
    where = ("--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    store = {"MLFLOW_BACKEND_STORE_URI": uri} if uri else {}
    return Page("MLflow", port, "--mlflow-port", "/health", (*program, *where), {**env, **store})


def _prefect(port: int, env: dict[str, str]) -> Page:
    command = (sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
    api = {"PREFECT_SERVER_UI_API_URL": f"http://127.0.0.1:{port}/api"}  # else the page asks port 4200
    return Page("Prefect", port, "--prefect-port", "/api/health", command, {**env, **api})


def _front(page: Page) -> str:
    """Where to look first: for MLflow our runs, since its own front page is about chat models."""
    if page.name != "MLflow":
        return page.address
    asked = f"{page.address}/api/2.0/mlflow/experiments/get-by-name?experiment_name={EXPERIMENT}"
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            experiment = json.load(answer)["experiment"]
    except urllib.error.HTTPError:  # nothing is logged yet
        return page.address
    useful = any(tag["key"] == VIEW for tag in experiment.get("tags", ()))
    view = "&viewStateShareKey=stillroom" if useful else ""  # without its tag MLflow would show an error
    return f"{page.address}/#/experiments/{experiment['experiment_id']}/runs?workflowType=machine_learning{view}"


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and a closed terminal end the block as Ctrl-C does."""
    kept = {name: signal.signal(name, signal.default_int_handler) for name in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for name, handler in kept.items():
            signal.signal(name, handler)
