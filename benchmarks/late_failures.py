"""Plans that pass every check of the files and fail late: what the rehearsal says of each, and after how long.

    python benchmarks/late_failures.py

Each is the digits plan with one thing planted at the end of the tree, or after it. The table says which step of the
rehearsal fell, after how many seconds, how many of them a processor's, and the last line of what was said. Whatever a
rehearsal leaves outside .stillroom/ is named.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PLAN, ROLLOUT, PROMOTION = "params/plan.yaml", "params/rollout.yaml", "params/promotion.yaml"
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
OWN_SOURCE = '''"""Texts of the user's own, which pads them itself: the tokenizer that goes along does not."""

import numpy as np

from tasks.core.contract import Data, Split
from tasks.core.preprocess import Preprocess

WORDS = ("[PAD]", "[UNK]", "good", "fine", "bad", "poor", "film")


def load() -> Data:
    """600 texts of three words, padded to six."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 600)
    ids = np.zeros((600, 6), np.int64)
    ids[:, :3] = np.stack([2 + 2 * labels + rng.integers(0, 2, 600), np.full(600, 6), rng.integers(1, 7, 600)], axis=1)
    return Data(
        train=Split({"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)}, labels),
        classes=("good", "bad"),
        preprocess=Preprocess(kind="text", length=6, vocab=len(WORDS)),
        files={"tokenizer.json": tokenizer.to_str().encode()},
    )
'''
RULES = "shape: null\nvalue_min: 0\nduplicate_share_max: 1.0\noverlap_rows_max: 600\n"
TEXT_PLAN = """seed: 7
threads: 1
data: {source: mine, val_share: 0.2, test_share: 0.25}
model: {arch: bert, layers: 1, hidden: 16, heads: 2, ffn: 32, positions: 8}
variants:
  baseline: {from: data, technique: train, epochs: 30, lr: 0.01, optimizer: adamw}
  baseline_int8: {from: baseline, technique: quantize, scheme: dynamic}
bench: {threads: [1], batch: [1]}
choose: {reference: baseline}
"""


class Plant(NamedTuple):
    """What is planted: whole files by name, and `edits` (file, old text, new text)."""

    files: Mapping[str, str]
    edits: tuple[tuple[str, str, str], ...] = ()


def row(text: str, files: Mapping[str, str] | None = None) -> Plant:
    """One more row at the end of the plan."""
    return Plant(files or {}, ((PLAN, LAST, LAST + text),))


PLANTED = {
    "a pattern that names no layer": Plant(
        {}, ((PLAN, LAST, LAST.replace("static}", 'static, exclude: ["head.*"]}')),)
    ),
    "attention heads of a network without attention": row("  heads: {from: baseline, technique: prune, heads: 0.5}\n"),
    "a technique of one's own with a missing import": row(
        "  mine: {from: pruned50, technique: mine}\n", {"tasks/techniques/mine.py": OWN_TECHNIQUE}
    ),
    "an engine that is not there": Plant(
        {}, ((PLAN, "bench: {threads: [1],", "bench: {engines: [onnxruntime_cuda], threads: [1],"),)
    ),
    "a size that no variant can keep": Plant({}, ((PLAN, "size_mb: 1.0", "size_mb: 0.01"),)),
    "a tokenizer that does not pad, as training did": Plant(
        {"tasks/sources/mine.py": OWN_SOURCE, PLAN: TEXT_PLAN, "params/expectations.yaml": RULES}
    ),
    "a control plane of no known kind": Plant(
        {ROLLOUT: "treatment_share: 0.1\ncontrol: {url: 'mysql://db/stillroom'}\n"}
    ),
    "a gate on groups that the data do not have": Plant({PROMOTION: "at_most: {worst_group_drop: 0.03}\n"}),
    "an MLflow server that does not answer": Plant({}),
}
ENVIRONMENT = {"an MLflow server that does not answer": {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}}


def plant(what: Plant, folder: Path) -> None:
    """Put it into a fresh clone; SystemExit when the plan is not the one that it was made for."""
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    for name, text in what.files.items():
        (folder / name).write_text(text, encoding="utf-8")
    for name, old, new in what.edits:
        text = (folder / name).read_text(encoding="utf-8")
        if old not in text:
            raise SystemExit(f"{name} has changed, {old!r} is not in it")
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)


def rehearsed(name: str, folder: Path) -> str:
    """A line of the table."""
    plant(PLANTED[name], folder)
    environment = {**os.environ, "PYTHONPATH": str(folder), **ENVIRONMENT.get(name, {})}
    check = [sys.executable, "-m", "flows.cli", "plan", "--check"]
    subprocess.run(check, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
    began, worked = time.perf_counter(), processor_s()
    command = [sys.executable, "-m", "flows.cli", "run", "--preflight"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    took = f"{time.perf_counter() - began:.0f} | {processor_s() - worked:.0f}"
    said = done.stderr + done.stdout
    step = re.search(r"preflight: (\S+) would fail", said)
    left = subprocess.run(["git", "status", "--porcelain", "--ignored"], cwd=folder, capture_output=True, text=True)
    strange = [x[3:] for x in left.stdout.splitlines() if x[:2] in ("??", "!!") and "__pycache__" not in x]
    left_behind = [x for x in strange if not x.startswith((".stillroom/", ".dvc/"))]
    shutil.rmtree(folder)
    if done.returncode == 0 or step is None:
        return f"| {name} | **not caught** (exit status {done.returncode}) | {took} | {said.strip()[-200:]} |"
    last = [line.strip() for line in said.splitlines() if line.startswith("  ")][-1]
    where = f"{step[1]}{f' (left: {left_behind})' if left_behind else ''}"
    return f"| {name} | {where} | {took} | {last} |"


def processor_s() -> float:
    """What all processes that this one started and that have ended have used, which other work does not lengthen."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(*only: str) -> None:
    """Print the table, or the lines whose names hold one of the words given."""
    print("| planted | caught at | seconds | of a processor | said |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        for name in PLANTED:
            if not only or any(word in name for word in only):
                print(rehearsed(name, Path(scratch) / "checkout"), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
