"""A small world of plug-ins and a valid set of files, so that these tests do not move with the real ones."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TECHNIQUE = """
from typing import Literal
from pydantic import Field
from tasks.core.frozen import Frozen
from tasks.core.contract import ModelChoice, Params as Base
TAKES, GIVES = {takes!r}, {gives!r}
class Recover(Frozen):
    epochs: int = Field(ge=1)
    helper: ModelChoice | None = None
class Params(Base):
    {fields}
def apply(parent, data, params): ...
"""
TECHNIQUES = {
    "train": ("torch", "torch", "epochs: int = Field(ge=1); lr: float = Field(0.1, gt=0, le=10)"),
    "distill": ("torch", "torch", "epochs: int = Field(ge=1); student: ModelChoice; layers: tuple[int, ...] = ()"),
    "prune": ("torch", "torch", "ratio: float = Field(gt=0, lt=1); recover: Recover | None = None"),
    "quantize": ("onnx", "onnx", "scheme: Literal['static', 'dynamic'] = 'static'"),
}
MODEL = """
from __future__ import annotations
from typing import TYPE_CHECKING, Annotated
from pydantic import Field
if TYPE_CHECKING:
    from torch import nn
def build(*, shape: tuple[int, ...], classes: int, width: Annotated[int, Field(ge=1, le=4096)] = 32) -> nn.Module: ...
"""
SOURCES = {"digits": "def load(*, subset: int = 0): ...", "npz": "def load(*, path: str): ..."}
FILES = {
    "plan.yaml": """\
seed: 7
threads: 1
data: {source: digits, val_share: 0.2}
model: {arch: small_cnn, width: 32}
variants:
  baseline: {from: data, technique: train, epochs: 3, lr: 1e-2}
  student: {from: baseline, technique: distill, epochs: 3, student: {arch: mlp, width: 8}, layers: [1, 2]}
  pruned: {from: baseline, technique: prune, ratio: 0.5, recover: {epochs: 1}}
  student_int8: {from: student, technique: quantize}
bench: {threads: [1], batch: [1, 32]}
choose:
  reference: baseline
  at_most: {size_mb: 1}
""",
    "expectations.yaml": "min_rows: {train: 5}\nshape: [1, 8, 8]\nclass_share_max: 0.5\n",
    "rollout.yaml": "treatment_share: 0.1\nscaling:\n  min_replicas: 1\n  max_replicas: 4\n",
    "promotion.yaml": "at_most: {accuracy_drop: 0.02}\n",
    "schedule.yaml": 'cron: "0 2 * * *"\ntimezone: UTC\npromote: false\n',
}


@pytest.fixture
def plugs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """tasks/{techniques,models,sources}/ with a few plug-ins of our own; returns the folder above them."""
    home = tmp_path / "plugs"
    texts = {f"techniques/{n}": TECHNIQUE.format(takes=t, gives=g, fields=f) for n, (t, g, f) in TECHNIQUES.items()}
    texts |= {"models/small_cnn": MODEL, "models/mlp": MODEL}
    texts |= {f"sources/{name}": text for name, text in SOURCES.items()}
    before = {name: module for name, module in sys.modules.items() if _is_plugin(name)}
    for name in before:
        del sys.modules[name]
    for kind in ("techniques", "models", "sources"):
        (home / kind).mkdir(parents=True)
        monkeypatch.setattr(importlib.import_module(f"tasks.{kind}"), "__path__", [str(home / kind)])
    for name, text in texts.items():
        (home / f"{name}.py").write_text(text)
    importlib.invalidate_caches()
    yield home
    for name in [name for name in sys.modules if _is_plugin(name)]:
        del sys.modules[name]
    sys.modules.update(before)


def _is_plugin(name: str) -> bool:
    return name.count(".") == 2 and name.startswith(("tasks.techniques.", "tasks.models.", "tasks.sources."))


@pytest.fixture
def params(plugs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A valid params/ in the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = Path("params")
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder
