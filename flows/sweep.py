"""What a killed driver leaves behind: flow runs that would stay RUNNING for ever, and the server it had started."""

import os
import socket

import psutil

PREFIX = "driver:"


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
