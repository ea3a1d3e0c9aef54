"""Four plans that pass every check of the files and fail late: what the rehearsal says of each, and after how long.

    python benchmarks/late_failures.py

Each is the digits plan with one thing planted at the end of the tree. The table says which step of the rehearsal fell,
after how many seconds, and the last line of its log; on a run, that step comes after all trainings before it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LAST = "  pruned50_int8: {from: pruned50, technique: quantize, scheme: static}\n"
OWN_TECHNIQUE = '''"""A technique of the user's own that fails when it is applied."""

from tasks.core.contract import Params as Base

TAKES, GIVES = "torch", "torch"


class Params(Base):
    """None."""


def apply(parent, data, params):
    """Fail as a missing library would."""
    import a_library_that_is_not_there
'''
PLANTED = {
    "a pattern that names no layer": (LAST, LAST.replace("static}", 'static, exclude: ["head.*"]}')),
    "attention heads of a network without attention": (
        LAST,
        f"{LAST}  heads: {{from: baseline, technique: prune, heads: 0.5}}\n",
    ),
    "a technique of one's own with a missing import": (LAST, f"{LAST}  mine: {{from: pruned50, technique: mine}}\n"),
    "an engine that is not there": ("bench: {threads: [1],", "bench: {engines: [onnxruntime_cuda], threads: [1],"),
}


def rehearsed(name: str, old: str, new: str, folder: Path) -> str:
    """A line of the table."""
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    plan = folder / "params/plan.yaml"
    text = plan.read_text(encoding="utf-8")
    if old not in text:
        raise SystemExit(f"{name}: the plan has changed, {old!r} is not in it")
    plan.write_text(text.replace(old, new), encoding="utf-8")
    (folder / "tasks/techniques/mine.py").write_text(OWN_TECHNIQUE, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    began = time.perf_counter()
    command = [sys.executable, "-m", "flows.cli", "run", "--preflight"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    said = done.stderr + done.stdout
    step = re.search(r"preflight: (\S+) would fail", said)
    built = (folder / "artifacts").exists()
    shutil.rmtree(folder)
    if done.returncode == 0 or step is None:
        return f"| {name} | **not caught** (exit status {done.returncode}) | {seconds:.0f} | {said.strip()[-200:]} |"
    last = [line.strip() for line in said.splitlines() if line.startswith("  ")][-1]
    return f"| {name} | {step[1]}{' (artifacts written!)' if built else ''} | {seconds:.0f} | {last} |"


def main() -> None:
    """Print the table."""
    print("| planted | caught at | seconds | said |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        for name, (old, new) in PLANTED.items():
            print(rehearsed(name, old, new, Path(scratch) / "checkout"), flush=True)


if __name__ == "__main__":
    main()
