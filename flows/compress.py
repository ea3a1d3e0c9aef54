"""The plan as a Prefect flow: the very stages of dvc.yaml, side by side where they do not need each other.

DVC alone decides what is current; a task asks a runner (flows/runners) to bring one stage up to date. A stage is
submitted when everything it needs is done, so that one that waits never holds a place of the `workers` that could work.
"""

import os
import subprocess
import sys
import time
from contextlib import closing
from typing import Any

from prefect import flow, get_run_logger, tags, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.states import Completed

from flows.board import BOARD, LOGS, ran_since, tail
from flows.record import record
from flows.runners import Runner, opened
from flows.stages import Stage, stages
from flows.step import died_by_signal, tracking_broke
from flows.sweep import driver_tag, ends_on_ctrl_c, mend, sweep
from tasks.core.errors import StillroomError
from tasks.evidence.energy import measured
from tasks.plan import load


class RunFailedError(StillroomError):
    """At least one stage failed; the message holds the end of each failed stage's log."""


@task(
    cache_policy=NO_CACHE,
    persist_result=False,
    task_run_name="{stage}",
    retries=1,
    retry_delay_seconds=2,
    retry_condition_fn=died_by_signal,
)
def reproduce(stage: str, force: bool, runner: Runner) -> Any:
    """Have a runner bring one stage up to date; the final state is named Reused, Restored or Computed."""
    BOARD.start(stage)
    try:
        done = runner.build(stage, force)
    except Exception:
        BOARD.end(stage, "failed")
        raise
    if done.how == "failed" or done.how == "refused":
        BOARD.end(stage, "failed", done.worker)
        get_run_logger().error("\n".join(tail(stage, 40)))
        raise RunFailedError(done.why)
    BOARD.end(stage, done.how, done.worker, done.worked_s)
    get_run_logger().info("\n".join([" by ".join(filter(None, (done.how, done.worker))), *done.log[-40:]]))
    return Completed(name=done.how.capitalize(), data=stage)


@task(
    cache_policy=NO_CACHE,
    persist_result=False,
    task_run_name="track",
    retries=2,
    retry_delay_seconds=[5, 30],
    retry_condition_fn=tracking_broke,
)
def track() -> None:
    """Log the run to MLflow, in a process of its own: MLflow's import alone takes seconds."""
    BOARD.start("track")
    done = subprocess.run([sys.executable, "-m", "tasks", "track"], check=False)
    BOARD.end("track", "failed" if done.returncode else "computed")
    if done.returncode:
        how = f"track exited with {done.returncode}, MLflow did not take the run:\n  "
        raise RunFailedError(how + "\n  ".join(tail("track", 8)))


def run_stages(todo: list[Stage], workers: int, force: bool, runner: Runner) -> dict[str, str]:
    """Run stages as their needs are met, `workers` at a time; why each failed one did. What needs it is skipped."""
    futures: dict[str, PrefectFuture[Any]] = {}
    waiting = {stage.name: stage for stage in todo}
    running: set[str] = set()
    lost: set[str] = set()  # failed, or skipped because a need is lost
    failed: dict[str, str] = {}
    while waiting or running:
        for name, stage in list(waiting.items()):
            if lost.intersection(stage.needs):
                lost.add(name)
                BOARD.end(name, "skipped")
                del waiting[name]
            elif len(running) < workers and all(n in futures and n not in running for n in stage.needs):
                needs = [futures[n] for n in stage.needs]
                futures[name] = reproduce.submit(name, force, runner, return_state=False, wait_for=needs)
                running.add(name)
                del waiting[name]
        for name in [n for n in running if futures[n].state.is_final()]:
            running.remove(name)
            if not futures[name].state.is_completed():
                failed[name] = str(futures[name].state.message).rpartition("RunFailedError: ")[2]
                lost.add(name)
        time.sleep(0.05)
    return failed


def account(name: str, why: str) -> str:
    """What there is to say of a failed stage: the end of its log when its step ran, else what DVC said."""
    said = tail(name, 12) if ran_since(name, BOARD.entries()[name].began) else [why]
    return f"{name} failed:\n  " + "\n  ".join(said)


@flow(name="compress", retries=0, persist_result=False)
def compress(workers: int = 2, force: bool = False, runner: str = "local", address: str = "") -> None:
    """Bring the whole plan up to date; RunFailedError names what failed. What was finished stays finished."""
    os.environ["STILLROOM_DRIVER"] = str(os.getpid())
    os.environ["STILLROOM_LOGS"] = str(LOGS)
    plan = load().plan
    todo, worth = stages(plan), plan.choose.worth
    BOARD.reset([*(stage.name for stage in todo), "track"])
    sweep()
    mend()
    with measured(worth.run_energy, worth.grams_co2_per_kwh) as taken, closing(opened(runner, address)) as where:
        failed = run_stages(todo, workers, force, where)
    energy = taken.energy if runner == "local" else None  # of this machine alone, and others did the work
    record(energy)
    if failed:
        BOARD.end("track", "skipped")
        raise RunFailedError("\n".join([*(account(name, why) for name, why in failed.items()), f"whole logs: {LOGS}/"]))
    track()
    record(energy)


def run(workers: int, force: bool, runner: str = "local", address: str = "") -> None:
    """Run the flow with a tag that lets a later run see whether this process is still alive."""
    with ends_on_ctrl_c(), tags(driver_tag()):
        compress(workers=workers, force=force, runner=runner, address=address)
