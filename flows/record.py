"""Writes down how a flow run went: .stillroom/run.json, for MLflow, `stillroom worth` and `stillroom explain`."""

from contextlib import suppress

from prefect import runtime

from flows.board import BOARD, Entry
from tasks.core import artifact
from tasks.core.errors import ArtifactError
from tasks.core.last_run import RUN_RECORD, Energy, LastRun, StageRun

UI = "http://127.0.0.1:4200"  # where `stillroom ui` shows the runs of a server that lived as long as its flow


def record(energy: Energy | None = None) -> None:
    """Write down how each stage of this run went, for `track`, `worth` and benchmarks; `energy`: of all of it."""
    run_id, page = str(runtime.flow_run.id), str(runtime.flow_run.ui_url)
    before = LastRun()
    with suppress(ArtifactError):  # a damaged record is no reason to lose this one
        before = LastRun.read()
    entries = BOARD.entries()
    seconds = sum(entry.seconds for name, entry in entries.items() if entry.state == "computed" and name != "track")
    watts = energy.joules / seconds if energy and seconds else None
    about = LastRun(
        flow_run_id=run_id,
        flow_run_name=str(runtime.flow_run.name),
        flow_run_url=page if page.startswith("http") else f"{UI}/runs/flow-run/{run_id}",
        stages={name: stage_run(entry, before.stages.get(name), watts) for name, entry in entries.items()},
        energy=energy or before.energy,
    )
    artifact.write_json(RUN_RECORD, about)


def stage_run(entry: Entry, before: StageRun | None, watts: float | None) -> StageRun:
    """How a stage went, and what it took when it was last computed, at so many `watts` while it ran."""
    seconds = round(entry.seconds, 3)
    kept = (before.computed_s, before.computed_cpu_s, before.computed_j) if before else (0.0, None, None)
    if entry.state == "computed":
        kept = (seconds, entry.worked_s, None if watts is None else round(seconds * watts, 3))
    computed_s, computed_cpu_s, computed_j = kept
    return StageRun(
        state=entry.state,
        began=round(entry.began, 3),
        seconds=seconds,
        computed_s=computed_s,
        computed_cpu_s=computed_cpu_s,
        computed_j=computed_j,
        worker=entry.worker,
    )
