"""Every way to send gradients, two processes on gloo: the bytes a step as counted and on the loopback, and accuracy.

    STILLROOM_DATA=... python benchmarks/gradients.py --folder runs/gradients --methods fp16 sign

ResNet-9 of width 16 on a cut of Fashion-MNIST, 4,000 rows to train on and 1,000 as `val`. Each method is a row of one
plan, built by `torchrun --nproc-per-node 2 -m tasks build`. "Loopback" is what the kernel counted on `lo` meanwhile,
all traffic, by steps and processes, so nothing else may talk on it. Without --methods all are run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np

from flows.environment import quiet
from tasks.core.recipe import FitParams
from tasks.sources import public

ROOT = Path(__file__).resolve().parents[1]
METHODS = get_args(FitParams.model_fields["gradients"].annotation)
TRAIN, VAL, TEST, EPOCHS, BATCH, PROCESSES = 4000, 1000, 1000, 2, 64, 2
PLAN = """\
seed: 7
threads: 1
data: {{source: npz, path: data/cut.npz, val_share: {share}, calibration_rows: 256, mean: [73.0], std: [90.0]}}
model: {{arch: resnet9, width: 16}}
variants:
{rows}
bench: {{}}
choose: {{reference: {reference}}}
"""
ROW = "  {0}: {{from: data, technique: train, epochs: {1}, lr: 0.1, batch: {2}, gradients: {0}}}"


def lay_out(folder: Path) -> None:
    """The cut of the data, and a plan with a row for every method."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "params").mkdir(exist_ok=True)
    whole = public.load(name="fashion_mnist")
    arrays: dict[str, Any] = {}
    for name, most in (("train", TRAIN + VAL), ("test", TEST)):
        split = whole.split(name)
        (pictures,) = split.inputs.values()
        arrays |= {f"x_{name}": pictures[:most], f"y_{name}": split.labels[:most]}
    np.savez(folder / "data/cut.npz", class_names=np.array(whole.classes), **arrays)
    for name in ("rollout.yaml", "promotion.yaml", "schedule.yaml"):
        shutil.copy2(ROOT / "params" / name, folder / "params")
    (folder / "params/expectations.yaml").write_text("{}\n", encoding="utf-8")
    rows = "\n".join(ROW.format(method, EPOCHS, BATCH) for method in METHODS)  # a plan needs two
    plan = PLAN.format(share=VAL / (TRAIN + VAL), rows=rows, reference=METHODS[0])
    (folder / "params/plan.yaml").write_text(plan, encoding="utf-8")


def loopback() -> int:
    """The bytes sent over `lo` since the machine started."""
    lines = Path("/proc/net/dev").read_text(encoding="utf-8").splitlines()
    (own,) = [line.split(":", 1)[1].split() for line in lines if line.strip().startswith("lo:")]
    return int(own[8])


def call(folder: Path, *command: str) -> None:
    """Run a command of Python in the folder; what it says is shown when it fails."""
    environment = {**os.environ, **quiet(), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-m", *command], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)


def main() -> None:
    """Build every method's row and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/gradients"))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    asked = parser.parse_args()
    lay_out(asked.folder)
    call(asked.folder, "tasks", "prepare")
    steps = EPOCHS * (TRAIN // BATCH)
    print("| gradients | counted, MB | of float32 | loopback, MB | val % |\n| --- | --- | --- | --- | --- |")
    for method in asked.methods:
        before = loopback()
        torchrun = ("torch.distributed.run", "--standalone", "--nproc-per-node", str(PROCESSES))
        call(asked.folder, *torchrun, "-m", "tasks", "build", method)
        on_loopback = (loopback() - before) / steps / PROCESSES
        facts = json.loads((asked.folder / "artifacts" / method / "card.json").read_text(encoding="utf-8"))["facts"]
        sent, whole = facts["sent_bytes_a_step"], facts["sent_bytes_a_step_float32"]
        columns = [f"{sent / 1e6:.3f}", "1" if sent == whole else f"1/{whole / sent:.2g}", f"{on_loopback / 1e6:.3f}"]
        print(f"| {method} | {' | '.join(columns)} | {100 * facts['val_accuracy']:.1f} |", flush=True)


if __name__ == "__main__":
    main()
