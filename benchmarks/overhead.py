"""What the orchestration costs: `stillroom run` against its steps, against `dvc status`, and two workers against one.

    python benchmarks/overhead.py --repeats 3 > table.md

Everything runs in a temporary copy of this checkout with params/smoke.yaml as its plan. The measurements of one round
follow each other at once and rounds repeat, so that a busy spell of the machine falls on both sides of a ratio; what is
reported is the median of the rounds' own ratios, with their least and greatest.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from flows.environment import quiet

ROOT = Path(__file__).resolve().parents[1]
RUN_RECORD = Path(".stillroom/run.json")


@dataclass(frozen=True)
class Round:
    """Seconds of one round."""

    serial: float
    serial_steps: float
    parallel: float
    idle: float
    status: float


def copy(to: Path) -> None:
    """What git would clone now, uncommitted edits included, as a repository of its own with the smoke plan."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for file in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / file).is_file():
            (to / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, to / file)
    shutil.copy2(to / "params/smoke.yaml", to / "params/plan.yaml")
    me = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost"]
    for command in (["init", "-q"], ["add", "-A"], [*me, "commit", "-qm", "copy"]):
        subprocess.run(["git", *command], cwd=to, check=True)


def seconds(checkout: Path, *arguments: str) -> float:
    """Wall time of `python ARGUMENTS` in the checkout, which must succeed."""
    environment = {**os.environ, **quiet(), "PREFECT_HOME": str(checkout / ".stillroom/prefect")}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=checkout, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    took = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stdout.decode(errors='replace')[-4000:]}")
    print(f"{took:8.2f} s  {' '.join(arguments)}", file=sys.stderr, flush=True)
    return took


def step_seconds(checkout: Path) -> float:
    """The sum of the steps' own seconds in the last run, as the flow wrote them down."""
    stages = json.loads((checkout / RUN_RECORD).read_text(encoding="utf-8"))["stages"]
    return float(sum(stage["seconds"] for stage in stages.values()))


def run_round(checkout: Path, swap: bool) -> Round:
    """One round; `swap` puts the parallel run before the serial one, so that neither is always the warmer."""
    took: dict[int, float] = {}
    steps = 0.0
    for workers in (2, 1) if swap else (1, 2):
        took[workers] = seconds(checkout, "-m", "flows.cli", "run", "--force", "--workers", str(workers))
        if workers == 1:
            steps = step_seconds(checkout)
    idle = seconds(checkout, "-m", "flows.cli", "run", "--workers", "2")
    return Round(took[1], steps, took[2], idle, seconds(checkout, "-m", "dvc", "status", "-q"))


def row(what: str, pairs: Iterable[tuple[float, float]]) -> str:
    """One line of the table: both sides' median seconds, and the least, median and greatest ratio."""
    left, right = zip(*pairs, strict=True)
    ratios = sorted(a / b for a, b in zip(left, right, strict=True))
    spread = f"{ratios[0]:.2f} | {median(ratios):.2f} | {ratios[-1]:.2f}"
    return f"| {what} | {median(left):.2f} | {median(right):.2f} | {spread} |"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="rounds (default: 3)")
    repeats = max(1, parser.parse_args().repeats)
    with tempfile.TemporaryDirectory(prefix="stillroom-overhead-") as folder:
        checkout = Path(folder) / "checkout"
        copy(checkout)
        seconds(checkout, "-m", "flows.cli", "run", "--workers", "1")  # first: databases are made, files are read
        rounds = [run_round(checkout, swap=bool(i % 2)) for i in range(repeats)]
    print(f"\n{repeats} rounds, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end.\n")
    print("| A against B | A, s (median) | B, s (median) | A/B least | A/B median | A/B greatest |")
    print("| --- | --- | --- | --- | --- | --- |")
    print(row("flow's wall time (1 worker, forced) / sum of its steps", ((r.serial, r.serial_steps) for r in rounds)))
    print(row("`stillroom run` with nothing to do / `dvc status`", ((r.idle, r.status) for r in rounds)))
    print(row("2 workers / 1 worker, forced", ((r.parallel, r.serial) for r in rounds)))


if __name__ == "__main__":
    main()
