"""Processes that have imported what the steps of a rehearsal need and fork for each: the caller of tasks.rehearse."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

import psutil
from pydantic import BaseModel

from tasks.core.errors import StillroomError
from tasks.core.rehearsal import Order, Ready, Taken

Kind = Literal["build", "rest"]
M = TypeVar("M", bound=BaseModel)


class Host:
    """One such process, at work in `folder`; it imports from now on. Until it is closed it waits for steps."""

    def __init__(self, kind: Kind, folder: Path) -> None:
        environment = {**os.environ, "STILLROOM_DRIVER": str(os.getpid())}
        for name in ("STILLROOM_LOGS", "MLFLOW_TRACKING_URI"):  # a rehearsal's results are nobody else's
            environment.pop(name, None)
        self._said = folder / "logs" / f"{kind}.host"
        with self._said.open("w", encoding="utf-8") as errors:
            self._process = psutil.Popen(
                [sys.executable, "-m", "tasks.rehearse", kind],
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # Ctrl-C is the caller's, who then ends it
                text=True,
            )

    @cached_property
    def ready_s(self) -> float:
        """How long the imports kept a processor, which every step of a run has to do for itself; waits for them."""
        return self._hear(Ready).seconds

    def run(self, order: Order) -> Taken:
        """Run one step; returns when it has ended."""
        assert self.ready_s >= 0
        print(order.model_dump_json(), file=self._process.stdin, flush=True)
        return self._hear(Taken)

    def close(self) -> None:
        """End it, and the step that it may be in the middle of."""
        family = []
        with suppress(psutil.NoSuchProcess):
            family = [*self._process.children(recursive=True), self._process]
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                pipe.close()

    def _hear(self, kind: type[M]) -> M:
        line = self._process.stdout.readline()
        if not line:
            said = self._said.read_text(encoding="utf-8").strip().splitlines() or ["it said nothing"]
            raise StillroomError(f"preflight: the process that was to run the steps ended: {said[-1]}")
        return kind.model_validate_json(line)
