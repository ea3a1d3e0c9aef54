"""A rehearsal: the whole tree, end to end, on a handful of rows, before the hours are spent.

Every step runs as it would, in a folder of its own, with the training cut short: reading the data, every technique,
export with its parity, loading, the benchmark, the choice, the package and the page. What fails there fails in the
first minute; from what succeeds, time, memory and disk of the run are estimated.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import yaml

from flows.board import tail
from flows.estimate import Estimate, Rehearsed, estimates
from tasks.core.artifact import BENCH, read_json
from tasks.core.errors import StillroomError
from tasks.core.rehearsal import SIZES, VARIABLE, Sizes, laps
from tasks.plan import Plan
from tasks.plan.shorten import passes, short_plan

FOLDER = Path(".stillroom/preflight")
OWN = ("artifacts", "reports", "results", "params", "mlflow", "data.dvc", "dvc.lock", "dvc.yaml")
LONG_MB = 50.0  # megabytes of rows that all passes read together: from here on it is rehearsed unasked
FEW_PASSES = 3


class PreflightError(StillroomError):
    """The rehearsal failed; the message holds the step and the end of its log. Nothing of the run was begun."""


def is_long(plan: Plan) -> bool:
    """Whether rows are to be built whose training reads so much that a rehearsal pays; reads the data to know."""
    missing = [row for name, row in plan.variants.items() if not Path("artifacts", name).exists()]
    work = sum(passes(row.params) for row in missing)
    if work <= FEW_PASSES:
        return False
    lay_out(plan)
    rehearse("handful")
    sizes = read_json(FOLDER / SIZES, Sizes)
    return work * sizes.rows["train"] * sizes.row_bytes / 1e6 > LONG_MB


def preflight(plan: Plan) -> list[Estimate]:
    """Rehearse every step; PreflightError at the first that fails."""
    lay_out(plan)
    done = [rehearse(*step) for step in steps(plan)]
    bench = json.loads(FOLDER.joinpath(BENCH).read_text(encoding="utf-8"))
    row_s = {name: points[0]["p50_ms"] / points[0]["batch"] / 1000 for name, points in bench["timings"].items()}
    return estimates(plan, read_json(FOLDER / SIZES, Sizes), done, row_s, FOLDER)


def steps(plan: Plan) -> Iterator[tuple[str, ...]]:
    """The steps in an order that every need allows: a chain's own mistakes come out before the next chain begins."""
    yield ("handful",)
    for verb in ("build", "evaluate"):
        yield from ((verb, name) for name in plan.variants)
    yield from (("bench",), ("choose",), ("package",), ("report",))


def lay_out(plan: Plan) -> None:
    """A fresh folder with the shortened plan, in which all else of the checkout is at its place."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / "logs").mkdir(parents=True)
    for entry in Path().iterdir():
        if not entry.name.startswith(".") and entry.name not in OWN:
            (FOLDER / entry.name).symlink_to(entry.resolve())
    shutil.copytree("params", FOLDER / "params", ignore=shutil.ignore_patterns("examples", "schemas", "smoke.yaml"))
    text = yaml.safe_dump(short_plan(plan), sort_keys=False, allow_unicode=True)
    (FOLDER / "params/plan.yaml").write_text(text, encoding="utf-8")


def rehearse(*step: str) -> Rehearsed:
    """Run one step there and watch it; PreflightError when it fails."""
    name = "@".join(step)
    log, timed = FOLDER / "logs" / f"{name}.log", FOLDER / "logs" / f"{name}.laps"
    environment = {**os.environ, VARIABLE: str(timed.absolute()), "STILLROOM_DRIVER": str(os.getpid())}
    environment.pop("STILLROOM_LOGS", None)
    start, peak = time.perf_counter(), 0
    with log.open("w", encoding="utf-8") as out:
        command = [sys.executable, "-m", "tasks", *step]
        process = psutil.Popen(command, cwd=FOLDER, env=environment, stdout=out, stderr=subprocess.STDOUT)
        while process.poll() is None:
            peak = max(peak, _held(process))
            time.sleep(0.05)
    if process.returncode:
        said = "\n  ".join(tail(name, 8, FOLDER / "logs"))
        raise PreflightError(f"preflight: {name} would fail, so nothing was begun:\n  {said}\nwhole log: {log}")
    return Rehearsed(name, time.perf_counter() - start, peak / 1e6, laps(timed))


def _held(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
