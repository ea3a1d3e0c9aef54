"""A step of `tasks` as a task of Prefect's takes it: in a process of its own, and whether its end is worth a retry."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

from flows.board import LOGS
from flows.order import WorkerLostError
from tasks.core.errors import GateError

TRACEBACK = "Traceback (most recent call last)"


class StepError(Exception):
    """`python -m tasks STEP` broke down, as opposed to refusing; the message holds the end of its output."""


def broke_down(task: Any, run: Any, state: Any) -> bool:
    """Whether a step failed for a reason that may pass; a refusal stands, being a judgement and no fault."""
    return isinstance(state.data, StepError) or "StepError" in str(state.message)


def died_by_signal(task: Any, run: Any, state: Any) -> bool:
    """Whether a step was killed, or its worker (out of memory, a node gone): worth one retry, unlike an own error."""
    told = str(state.message) + str(state.data)
    found = re.search(r"exited with (-?\d+)", told)
    return WorkerLostError.__name__ in told or (found is not None and (int(found[1]) < 0 or int(found[1]) > 128))


def tracking_broke(task: Any, run: Any, state: Any) -> bool:
    """Whether tracking broke down (a locked database, a server that is away), as opposed to refusing stale results.

    To log a run again is safe: one that is not finished does not count as logged, and models and versions that are
    there already are known by their hashes.
    """
    log = LOGS / "track.log"
    if died_by_signal(task, run, state) or not log.exists():
        return True
    return TRACEBACK in log.read_text(encoding="utf-8", errors="replace")


def verdict(step: str, status: int, output: str) -> str:
    """What the step said, when it went through.

    Raises:
        GateError: it refused; the message says why.
        StepError: it was killed, or ended with a traceback.
    """
    said = output.strip()
    if status == 0:
        return said
    if status < 0 or TRACEBACK in said:
        raise StepError(f"{step} ended with status {status}:\n{said[-2000:]}")
    raise GateError(said)


def step(name: str) -> str:
    """Run one of tasks' steps in a process of its own, as `verdict` takes it."""
    command = [sys.executable, "-m", "tasks", name]
    told = {key: value for key, value in os.environ.items() if key != "STILLROOM_LOGS"}  # here, and not into a log
    done = subprocess.run(command, check=False, env=told, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return verdict(name, done.returncode, done.stdout)
