"""The folder in which a run is rehearsed, and the steps that run in it. Nothing outside of it is written."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from flows.board import tail
from flows.estimate import Rehearsed
from flows.host import Host
from tasks.core.artifact import ARTIFACTS, DATA, PACKAGE
from tasks.core.errors import StillroomError
from tasks.core.rehearsal import PREPARED, Order, laps
from tasks.plan import Plan
from tasks.plan.shorten import short_plan

FOLDER = Path(".stillroom/preflight")
LOGS = Path("logs")
RENAMED = {"prepare": "handful"}  # the steps that are others in a rehearsal
FRAME = re.compile(r'Traceback|  File "|    ')  # of a traceback, all but its last line
OWN = ("artifacts", "reports", "results", "params", "mlflow", "data.dvc", "dvc.lock", "dvc.yaml")


class PreflightError(StillroomError):
    """The rehearsal failed; the message holds the step and the end of its log. Nothing of the run was begun."""


@contextmanager
def rehearsal(plan: Plan, stale: Collection[str]) -> Iterator[Callable[[str], Rehearsed]]:
    """What runs one step there; PreflightError when it fails. Afterwards all is gone but the logs of a failure."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    hosts: list[Host] = []
    failed = False
    with _alone():
        try:
            lay_out(plan, stale)
            hosts += [Host(kind, FOLDER) for kind in ("rest", "build")]  # data are read while the second imports torch
            yield lambda step: _run(step, *hosts)
        except PreflightError:
            failed = True
            raise
        finally:
            for host in hosts:
                host.close()
            signal.signal(signal.SIGTERM, before)
            clear(keep=(LOGS.name,) if failed else ())


@contextmanager
def _alone() -> Iterator[None]:
    """Only one rehearsal at a time in a checkout: PreflightError while there is another."""
    FOLDER.parent.mkdir(exist_ok=True)
    lock = os.open(FOLDER.parent, os.O_RDONLY)  # the folder above itself: a file would be left behind
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PreflightError(f"preflight: another one is at work in {Path.cwd()}; wait for it") from None
        yield
    finally:
        os.close(lock)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt(number)  # as Ctrl-C does, so that what was begun is ended


def lay_out(plan: Plan, stale: Collection[str]) -> None:
    """A fresh folder with the shortened plan, in which all else of the checkout is at its place."""
    clear()
    (FOLDER / LOGS).mkdir(parents=True)
    for entry in Path().iterdir():
        if not entry.name.startswith(".") and entry.name not in OWN:
            (FOLDER / entry.name).symlink_to(entry.resolve())
    shutil.copytree("params", FOLDER / "params", ignore=shutil.ignore_patterns("examples", "schemas", "smoke.yaml"))
    text = yaml.safe_dump(short_plan(plan), sort_keys=False, allow_unicode=True)
    (FOLDER / "params/plan.yaml").write_text(text, encoding="utf-8")
    (FOLDER / ARTIFACTS).mkdir()
    if "prepare" not in stale:
        (FOLDER / PREPARED).symlink_to(DATA.resolve())
    for name in plan.variants:
        if f"build@{name}" not in stale:
            (FOLDER / ARTIFACTS / name).symlink_to((ARTIFACTS / name).resolve())


def clear(keep: Collection[str] = ()) -> None:
    """Remove the folder, but for some of what is in it. Links are removed, not what they point at."""
    for entry in FOLDER.iterdir() if FOLDER.exists() else ():
        if entry.name not in keep:
            entry.unlink() if entry.is_symlink() or entry.is_file() else shutil.rmtree(entry)
    if FOLDER.exists() and not keep:
        FOLDER.rmdir()


def _run(step: str, rest: Host, build: Host) -> Rehearsed:
    log, timed = LOGS / f"{step}.log", LOGS / f"{step}.laps"
    verb, *variant = step.split("@")
    if verb == "serve":
        return _serve(step)
    host = build if verb == "build" else rest
    taken = host.run(Order(step=(RENAMED.get(verb, verb), *variant), log=str(log), laps=str(timed)))
    if taken.status:
        raise failure(step, taken.status)
    # What a processor worked is not lengthened by other work on the machine, but reading data may be waiting for them.
    seconds = taken.wall_s if verb == "prepare" else min(taken.wall_s, taken.worked_s)
    return Rehearsed(step, seconds, host.ready_s, taken.peak_mb, laps(FOLDER / timed))


def _serve(step: str) -> Rehearsed:
    """Try the package as the service would; StillroomError when it cannot be served."""
    environment = {
        **os.environ,
        "STILLROOM_PACKAGE": str((FOLDER / PACKAGE).absolute()),
        "BENTOML_HOME": str((FOLDER / "bentoml").absolute()),
    }
    began = time.perf_counter()
    with (FOLDER / LOGS / f"{step}.log").open("w", encoding="utf-8") as log:
        command = [sys.executable, "-m", "serving.trial"]
        status = subprocess.run(command, cwd=FOLDER, env=environment, stdout=log, stderr=log, check=False).returncode
    if status:
        raise failure(step, status)
    return Rehearsed(step, time.perf_counter() - began, 0.0, 0.0)


def failure(step: str, status: int) -> PreflightError:
    """What to tell of a step that failed: the end of its log, without the frames of a traceback."""
    said = [line for line in tail(step, 8, FOLDER / LOGS) if not FRAME.match(line)]
    if status < 0:
        said.append(f"it was ended by signal {-status}{' (out of memory?)' if status == -signal.SIGKILL else ''}")
    told = "\n  ".join(said)
    return PreflightError(
        f"preflight: {step} would fail, so nothing was begun:\n  {told}\nwhole log: {FOLDER / LOGS}/{step}.log"
    )
