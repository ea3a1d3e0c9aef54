"""Techniques compose: any chain whose forms fit builds, is saved, and answers the same when it is loaded elsewhere."""

from __future__ import annotations

import copy
import json
import os
import pkgutil
import random
import re
import subprocess
import sys
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tasks.techniques
from tasks.core import checkpoint
from tasks.core.contract import Data, Graph, Network
from tasks.core.errors import TechniqueError
from tasks.core.export import export, session
from tasks.core.shape import build_like
from tasks.techniques import train
from tests.unit import cases, tiny

pytestmark = pytest.mark.integration

FORMS = {
    name: (module.TAKES, module.GIVES)
    for name in sorted(m.name for m in pkgutil.iter_modules(tasks.techniques.__path__))
    for module in [import_module(f"tasks.techniques.{name}")]
}
# `load` takes another network's weights in place of its parent's; `subnet` goes with `slim`, see `refused`.
TRAINABLE = [name for name, forms in FORMS.items() if forms == ("torch", "torch") and name != "load"]
ENDS = [name for name, (takes, gives) in FORMS.items() if gives == "onnx" and takes != "data"]
# What `quantize` alone can follow; where there is a LAST, the plan lets nothing follow.
ONNX_FIRST = [
    name
    for name, (_, gives) in FORMS.items()
    if gives == "onnx" and not hasattr(import_module(f"tasks.techniques.{name}"), "LAST")
]
RESHAPED = ("ensemble", "factorize", "ode_blocks", "prune", "slim", "subnet")


def refused(before: str, after: str) -> str | None:
    """Why a technique must refuse the result of another, or None: it takes what it can from any other."""
    if after == "subnet" and before != "slim":
        return "must be a row of the technique slim"
    if after == "scale" and before in RESHAPED:
        return r"is no plain|has no SCALES"
    # No stage of blocks: another architecture, several of them, or one as shallow as can be. Or nothing is left to do:
    # all weights of a layer are of one size already, or of so few values, or all blocks are replaced.
    return {
        ("distill", "ode_blocks"): "has no residual unit",
        ("ensemble", "ode_blocks"): "only a chain of layers",
        ("scale", "ode_blocks"): "no run of units is left",
        ("binarize", "sparsify"): "leaves no weight",
        ("cluster", "cluster"): "no tensor has more",
        ("ode_blocks", "ode_blocks"): "no run of units is left",
    }.get((before, after))


def no_end(before: str, end: str) -> str | None:
    """Why an end must refuse the result of a technique, or None: it takes it."""
    return {
        ("distill", "act"): "has no stage of 2 residual units",
        ("load", "act"): "has no stage of 2 residual units",
        ("scale", "act"): "has no stage of 2 residual units",  # half the depth, one unit a stage
        ("ensemble", "act"): "only a chain of layers",
        ("ensemble", "early_exit"): "only a chain of layers",
        ("qat", "quantize"): "is quantized already",
        ("quantize", "quantize"): "is quantized already",
    }.get((before, end))


# Refused or not by the scales that training ended with, which differ from one kind of processor to another.
BY_WEIGHTS = {("binarize", "sparsify")}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cases.write_files()


@lru_cache
def _residual() -> Network:
    data = tiny.pictures()
    torch.manual_seed(0)
    untrained = build_like({"arch": "resnet", "depth": 14, "width": 8}, data)
    model = train.apply(untrained, data, train.Params(epochs=6, lr=0.05, batch=32)).model
    assert isinstance(model, Network)
    return model


def residual() -> Network:
    """A network with blocks to skip and stages to replace; a fresh copy."""
    return copy.deepcopy(_residual())


def applied(name: str, parent: Network | Graph | None) -> Network | Graph:
    model = cases.applied(name, parent, tiny.pictures()).model
    assert isinstance(model, Network | Graph)
    return model


def reloaded(model: Network | Graph, folder: Path) -> Network:
    assert isinstance(model, Network)
    folder.mkdir()
    checkpoint.save(model, tiny.pictures(), folder)
    return checkpoint.load(folder, tiny.pictures())


@pytest.mark.parametrize("first", [name for name in TRAINABLE if name != "subnet"])
def test_every_technique_works_on_what_every_other_made(first: str, tmp_path: Path) -> None:
    parent = reloaded(applied(first, residual()), tmp_path / "parent")
    for second in TRAINABLE:
        says = refused(first, second)
        try:
            model = applied(second, copy.deepcopy(parent))
        except TechniqueError as e:
            assert says and re.search(says, str(e)), f"{second} after {first}: {e}"
            continue
        assert says is None or (first, second) in BY_WEIGHTS, f"{second} after {first} was not refused"
        again = reloaded(model, tmp_path / second)
        assert isinstance(model, Network)
        assert np.array_equal(tiny.logits(again, tiny.pictures()), tiny.logits(model, tiny.pictures())), second


def chains() -> list[tuple[str, ...]]:
    """Chains of two trainable techniques and an end, each technique in a few of them; drawn once and for all."""
    rng = random.Random(0)
    firsts = [name for name in TRAINABLE if name != "subnet"]
    drawn: list[tuple[str, ...]] = [
        ("slim", "subnet", "quantize"),
        ("sparsify", "act"),
        ("load", "prune", "quantize"),
        ("load_onnx", "quantize"),
    ]
    for first in firsts:
        fits = [name for name in TRAINABLE if refused(first, name) is None and name != "subnet"]
        drawn.append((first, rng.choice(fits), rng.choice([*ENDS, ""])))
    return [tuple(name for name in chain if name) for chain in drawn]


def start(first: str) -> Network | Graph | None:
    """What a chain that begins with this technique begins with: `load`'s file is of the tiny network."""
    return {"load": tiny.trained, "load_onnx": lambda: None}.get(first, residual)()


ELSEWHERE = """
import json, sys
import numpy as np
from pathlib import Path
from tasks.core import checkpoint
from tasks.core.export import session
import onnx, torch
rows = np.load("rows.npy")
said = {}
for folder in sorted(Path().glob("chain_*")):
    proto = onnx.load(folder / "model.onnx")
    said[folder.name] = [session(proto).run(["logits"], {"images": rows})[0].tolist()]
    if (folder / "model.json").exists():
        with torch.no_grad():
            said[folder.name].append(checkpoint.load(folder).module(torch.tensor(rows)).tolist())
assert not {"tasks.techniques." + name for name in sys.argv[1:]} & set(sys.modules)
print(json.dumps(said))
"""


def test_chains_answer_the_same_in_a_new_process(tmp_path: Path) -> None:
    models: dict[tuple[str, ...], Network | Graph] = {}
    for chain in chains():
        model = start(chain[0])
        for name in chain:
            model = applied(name, as_taken(name, model, tiny.pictures()))
        assert model is not None
        models[chain] = model
    answer_the_same_elsewhere(models, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("first", [*TRAINABLE, *ONNX_FIRST, "load"])
def test_every_end_works_on_what_every_technique_made(first: str, tmp_path: Path) -> None:
    """`act`, `early_exit`, `qat` and `quantize`, as far as the forms fit; what is made answers the same elsewhere."""
    parent = start(first)
    for name in ("slim", "subnet") if first == "subnet" else (first,):
        parent = applied(name, as_taken(name, parent, tiny.pictures()))
    if isinstance(parent, Network):
        parent = reloaded(parent, tmp_path / "parent")
    models: dict[tuple[str, ...], Network | Graph] = {}
    for end in ENDS if isinstance(parent, Network) else ["quantize"]:
        says = no_end(first, end)
        try:
            models[first, end] = applied(end, as_taken(end, copy.deepcopy(parent), tiny.pictures()))
        except TechniqueError as e:
            assert says and re.search(says, str(e)), f"{end} after {first}: {e}"
            continue
        assert says is None, f"{end} after {first} was not refused"
    answer_the_same_elsewhere(models, tmp_path)


def answer_the_same_elsewhere(models: dict[tuple[str, ...], Network | Graph], tmp_path: Path) -> None:
    """Every model, saved and loaded in one new process that imports no technique of ours."""
    data = tiny.pictures()
    rows = np.asarray(data.split("val").inputs["images"][:])
    np.save(tmp_path / "rows.npy", rows)
    expected: dict[str, list[Any]] = {}
    for chain, model in models.items():
        name = "chain_" + "_then_".join(chain)
        proto = model.proto if isinstance(model, Graph) else export(model, data)
        expected[name] = [session(proto).run(["logits"], {"images": rows})[0]]
        (tmp_path / name).mkdir()
        if isinstance(model, Network):
            checkpoint.save(model, data, tmp_path / name)
            expected[name].append(tiny.logits(model, data))
        (tmp_path / name / "model.onnx").write_bytes(proto.SerializeToString())
    command = [sys.executable, "-c", ELSEWHERE, *FORMS]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said.keys() == expected.keys()
    for name, answers in expected.items():
        for mine, theirs in zip(answers, said[name], strict=True):
            assert np.allclose(mine, np.array(theirs, np.float32), rtol=0, atol=1e-6), name


def as_taken(name: str, model: Network | Graph | None, data: Data) -> Network | Graph | None:
    """The model, or its exported graph where the technique works on that."""
    return Graph(export(model, data)) if FORMS[name][0] == "onnx" and isinstance(model, Network) else model


def test_the_chains_hold_every_technique() -> None:
    assert {name for chain in chains() for name in chain} == set(FORMS)
