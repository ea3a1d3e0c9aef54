"""What a preflight foretells against what the run then takes, step by step and in all.

    python benchmarks/foretold.py [EXAMPLE [PLAN.yaml]]

In a fresh clone: `run --preflight --json`, then `run --no-preflight --workers 1`, whose steps are timed by the flow and
whose processes are watched ten times a second. Without an argument the plan is the checkout's; a file replaces that of
the example. What other processes had of the processors meanwhile is said, since it lengthens the run: a processor's
seconds are those that the step's own process worked, the ratio is to the smaller of the two.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
SECONDS_APART = 0.1


def main(example: str = "", plan: str = "") -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "checkout"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        stillroom = [sys.executable, "-m", "flows.cli"]
        if example:
            subprocess.run([*stillroom, "use", example, "--force"], cwd=folder, env=environment, check=True)
        if plan:
            shutil.copy(plan, folder / "params/plan.yaml")
        clock = Clock()
        asked = [*stillroom, "run", "--preflight", "--json"]
        told = json.loads(subprocess.run(asked, cwd=folder, env=environment, stdout=subprocess.PIPE, check=True).stdout)
        print(f"preflight: {clock.told()}", flush=True)
        clock = Clock()
        peaks = watched([*stillroom, "run", "--no-preflight", "--workers", "1"], folder, environment)
        print(f"run: {clock.told()}\n")
        table(told, json.loads((folder / ".stillroom/run.json").read_text())["stages"], peaks)
        places = ("artifacts", "results/package", ".dvc/cache", "mlflow")
        found = sum(f.stat().st_size for p in places for f in (folder / p).rglob("*") if f.is_file()) / 1e6
        print(f"\ndisk, MB: {told['disk_mb']:.1f} foretold, {found:.1f} found ({', '.join(places)})")


class Clock:
    """Seconds since it was made, and who used the processors."""

    def __init__(self) -> None:
        self._wall, self._own, self._all = time.perf_counter(), self.own(), sum(psutil.cpu_times()[:3])

    @staticmethod
    def own() -> float:
        """Of this process's ended children."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def told(self) -> str:
        """In words."""
        wall, own = time.perf_counter() - self._wall, self.own() - self._own
        others = (sum(psutil.cpu_times()[:3]) - self._all - own) / wall / (psutil.cpu_count() or 1)
        return f"{wall:.0f} s, {own:.0f} s of a processor; others had {others:.0%} of all processors"


def watched(command: list[str], folder: Path, environment: dict[str, str]) -> dict[str, tuple[float, float]]:
    """Run `command`; of each step's process the greatest resident memory, in MB, and the seconds of a processor."""
    peaks: dict[str, tuple[float, float]] = {}
    with (folder.parent / "run.log").open("w") as log:
        process = psutil.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        while process.poll() is None:
            for child in process.children(recursive=True):
                try:
                    words, held, used = child.cmdline(), child.memory_info().rss / 1e6, sum(child.cpu_times()[:4])
                except psutil.Error:
                    continue
                if words[1:3] == ["-m", "tasks"]:
                    step = "@".join(words[3:])
                    peaks[step] = max(held, peaks.get(step, (0.0,))[0]), used
            time.sleep(SECONDS_APART)
    if process.returncode:
        raise SystemExit((folder.parent / "run.log").read_text()[-2000:])
    return peaks


def table(told: dict[str, Any], taken: dict[str, Any], peaks: dict[str, tuple[float, float]]) -> None:
    """Both, side by side."""
    print("| step | foretold, s | taken, s | of a processor, s | ratio | foretold, MB | taken, MB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    whole, worked = 0.0, 0.0
    for step in told["steps"]:
        name, seconds = step["step"], taken[step["step"]]["seconds"]
        peak, used = peaks[name]
        whole, worked = whole + seconds, worked + used
        times = f"{step['seconds']:.1f} | {seconds:.1f} | {used:.1f} | {step['seconds'] / min(seconds, used):.2f}"
        print(f"| {name} | {times} | {step['peak_mb']:.0f} | {peak:.0f} |")
    ratio = told["seconds"] / min(whole, worked)
    print(f"| in all | {told['seconds']:.0f} | {whole:.0f} | {worked:.0f} | {ratio:.2f} | | |")


if __name__ == "__main__":
    main(*sys.argv[1:])
