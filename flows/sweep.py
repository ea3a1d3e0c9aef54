"""The end of a driver: at once on Ctrl-C; and what a killed one leaves: runs RUNNING for ever, a server, torn files."""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from flows.board import BOARD

PREFIX = "driver:"
RWLOCK = Path(".dvc/tmp/rwlock")
STOP_S = 3.0


def driver_tag() -> str:
    """This process as a tag of its flow run: host, process id and start time, so that a reused id cannot deceive."""
    return f"{PREFIX}{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}"


def is_gone(tag: str) -> bool:
    """Whether the process behind a driver tag no longer runs; False for another host's, of which nothing is known."""
    host, pid, started = tag.removeprefix(PREFIX).rsplit(":", 2)
    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(int(pid))
        return f"{process.create_time():.2f}" != started or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextmanager
def ends_on_ctrl_c() -> Iterator[None]:
    """While the body runs, Ctrl-C ends this process at once, with the steps and the server that it started.

    Prefect's own way takes minutes: the terminal sends Ctrl-C to its server too, and then it asks that one again and
    again. Nothing is lost but the steps in hand, and the next run's `sweep` marks this one as crashed.
    """

    def end(number: int, frame: object) -> None:
        until = time.monotonic() + STOP_S
        while True:  # DVC may be about to start a step, and is given the time to put its own files in order
            for child in psutil.Process().children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    child.terminate()
            busy = any(e.state == "running" for e in BOARD.entries().values())
            if not busy or time.monotonic() > until:
                break
            time.sleep(0.1)
        cursor = "\x1b[?25h" if sys.stderr.isatty() else ""  # which the live display had hidden
        said = f"{cursor}\nstopped; what was finished is kept, and `stillroom run` goes on from there\n"
        os.write(2, said.encode())
        os._exit(128 + number)

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def end_orphans(home: str) -> int:
    """Stop the servers that Prefect started for flows of this PREFECT_HOME that were killed since; how many."""
    ended = 0
    for process in psutil.process_iter(["cmdline", "ppid"]):
        if "prefect.server.api.server:create_app" not in (process.info["cmdline"] or ()) or process.info["ppid"] != 1:
            continue
        try:
            if process.environ().get("PREFECT_HOME") == home:
                process.terminate()
                ended += 1
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # it has ended, or is another user's
    return ended


def mend(rwlock: Path = RWLOCK) -> bool:
    """Remove DVC's list of who reads and writes what if a kill left it half written: DVC would refuse to go on.

    A list that a live process is writing at this moment is whole, or another one, half a second later.
    """
    seen: list[bytes] = []
    for pause in (0.5, 0.0):
        try:
            seen.append(rwlock.read_bytes())
            json.loads(seen[-1])
        except FileNotFoundError:
            return False
        except ValueError:
            time.sleep(pause)
        else:
            return False
    if seen[0] == seen[1]:
        rwlock.unlink(missing_ok=True)
    return seen[0] == seen[1]


def sweep() -> int:
    """Mark every flow and task run of a dead driver as crashed; the number of flow runs swept."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, FlowRunFilterState
    from prefect.client.schemas.objects import State, StateType
    from prefect.states import Crashed

    running = FlowRunFilter(state=FlowRunFilterState.model_validate({"type": {"any_": [StateType.RUNNING]}}))
    state: State[object] = Crashed(message="The process that drove this run was killed; a later run found it gone.")
    swept = 0
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=running):
            drivers = [tag for tag in run.tags if tag.startswith(PREFIX)]
            if not drivers or not all(is_gone(tag) for tag in drivers):
                continue
            of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
            for left in client.read_task_runs(flow_run_filter=of_run):
                if left.state is None or not left.state.is_final():
                    client.set_task_run_state(left.id, state, force=True)
            client.set_flow_run_state(run.id, state, force=True)
            swept += 1
    return swept
