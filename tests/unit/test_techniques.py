"""What every technique must keep, whatever it does: one row a technique, taken up by every test here."""

from __future__ import annotations

import copy
import hashlib
import json
import pkgutil
import subprocess
import sys
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

import tasks.models
import tasks.techniques
from tasks.core.contract import Card, Data, Graph, Network, Outcome, Params
from tasks.core.errors import TechniqueError
from tasks.core.export import session
from tasks.core.shape import body_of
from tests.unit import tiny


class Case(NamedTuple):
    """Parameters that work, and some that cannot, with a part of the message."""

    params: dict[str, Any]
    wrong: dict[str, Any]
    says: str


FIT = {"epochs": 1, "lr": 0.05, "batch": 32}
CASES = {
    "train": Case(FIT, {**FIT, "augment": ["flip"]}, "for pictures"),
    "load_onnx": Case({"path": "given.onnx"}, {"path": "given.onnx", "output": "nowhere"}, "no output 'nowhere'"),
    "load": Case({"path": "weights.safetensors"}, {"path": "nowhere.pt"}, "no such file"),
    "distill": Case(
        {**FIT, "student": {"arch": "small_cnn", "width": 4}},
        {**FIT, "student": tiny.CNN, "hidden": {"student": "0", "teacher": "nowhere"}},
        "no layer 'nowhere'",
    ),
    "binarize": Case({"recover": FIT}, {"exclude": ["nowhere"]}, "no layer 'nowhere'"),
    "cluster": Case({"clusters": 16, "recover": FIT}, {"clusters": 4096}, "no tensor has more than"),
    "early_exit": Case({**FIT, "accuracy_budget": 0.9}, {**FIT, "exits": ["nowhere"]}, "no layer 'nowhere'"),
    "ensemble": Case({**FIT, "members": 2}, {**FIT, "members": 1}, "found 1 members"),
    "factorize": Case(
        {"ratio": 0.5, "round_to": 1, "recover": FIT}, {"ratio": 0.99, "round_to": 1}, "saves no parameters in any"
    ),
    "lottery": Case({**FIT, "sparsity": 0.8, "rounds": 2}, {**FIT, "sparsity": 0.8, "exclude": ["x"]}, "no layer 'x'"),
    "ode_blocks": Case(FIT, {**FIT, "exclude": ["nowhere"]}, "'nowhere' fits no unit"),
    "prune": Case({"ratio": 0.5, "round_to": 4, "recover": FIT}, {"ratio": 0.1, "round_to": 8}, "removes no channel"),
    "qat": Case({**FIT, "lr": 0.002}, {**FIT, "exclude": ["nowhere"]}, "matches no layer"),
    "quantize": Case({}, {"scheme": "dynamic"}, "with constant weights"),
    "scale": Case({**FIT, "ratio": 0.5}, {**FIT, "at_most": 10}, "no small_cnn fits macs 10"),
    "slim": Case(
        {**FIT, "widths": [0.5, 1.0], "kernels": [1]}, {**FIT, "widths": [1.0], "depths": [0.5, 1.0]}, "can be skipped"
    ),
    "subnet": Case({"macs_ratio": 0.5, "trials": 6}, {"size_kb": 0.1}, "the smallest sub-network has"),
    "sparsify": Case({"sparsity": 0.8, "recover": FIT}, {"exclude": ["nowhere"]}, "no layer 'nowhere'"),
}
NAMES = sorted(m.name for m in pkgutil.iter_modules(tasks.techniques.__path__))
each = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True)
def checkpoint_file(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(9)
    other = body_of(tiny.trained().module)
    save_file(
        {k: v + 0.01 if v.is_floating_point() else v for k, v in other.state_dict().items()}, "weights.safetensors"
    )
    onnx.save(tiny.exported(), "given.onnx")


RESIDUAL = ("ode_blocks",)
"""Techniques that need a parent with residual units."""


@lru_cache
def slimmed() -> Network:
    """What `subnet` starts from."""
    model = applied("slim").model
    assert isinstance(model, Network)
    return model


def parent_of(name: str) -> Network | Graph | None:
    if name == "subnet":
        return copy.deepcopy(slimmed())
    if name in RESIDUAL:
        return tiny.trained("residual")
    takes = import_module(f"tasks.techniques.{name}").TAKES
    return {"torch": tiny.trained, "onnx": lambda: Graph(tiny.exported()), "data": lambda: None}[takes]()


def pinned(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters, with the digest of the checkpoint that they name."""
    path = Path(params.get("path", ""))
    return {**params, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} if path.is_file() else params


def applied(name: str, parent: Network | Graph | None = None, data: Data | None = None, **params: Any) -> Outcome:
    technique = import_module(f"tasks.techniques.{name}")
    parent = parent or parent_of(name)
    torch.manual_seed(5)  # after the parent, which may be trained just now
    settings = technique.Params(**pinned(params or CASES[name].params))
    return technique.apply(parent, data or tiny.pictures(), settings)


def state(model: Network | Graph | None) -> dict[str, bytes]:
    """Everything the model consists of, as bytes."""
    if model is None:
        return {}
    if isinstance(model, Graph):
        return {"proto": model.proto.SerializeToString(deterministic=True)}
    return {k: v.numpy().tobytes() for k, v in model.module.state_dict().items()} | {
        "record": json.dumps([dict(model.arch), [dict(c) for c in model.changes]], sort_keys=True).encode()
    }


def test_every_technique_has_a_case() -> None:
    assert set(CASES) == set(NAMES)


@each
def test_contract(name: str) -> None:
    technique = import_module(f"tasks.techniques.{name}")
    assert technique.TAKES in ("torch", "onnx", "data") and technique.GIVES in ("torch", "onnx")
    assert issubclass(technique.Params, Params)
    assert "Use when" in technique.__doc__ and "Changes" in technique.__doc__
    for key, field in technique.Params.model_fields.items():
        assert field.description, f"{key} says nothing"
    params = technique.Params(**CASES[name].params)
    with pytest.raises(ValidationError):
        technique.Params(**CASES[name].params, no_such_key=1)
    with pytest.raises(ValidationError):
        setattr(params, next(iter(technique.Params.model_fields)), None)


@each
def test_same_seed_same_bytes(name: str) -> None:
    first, second = applied(name), applied(name)
    assert state(first.model) == state(second.model)
    assert first.facts == second.facts


@each
def test_changes_a_copy_and_leaves_the_parent(name: str) -> None:
    parent = parent_of(name)
    before = copy.deepcopy(state(parent))
    outcome = applied(name, parent)
    assert state(parent) == before
    assert state(outcome.model) != before
    assert isinstance(outcome.model, Network if import_module(f"tasks.techniques.{name}").GIVES == "torch" else Graph)
    if isinstance(parent, Network):
        assert all(p.requires_grad for p in parent.module.parameters())


@each
def test_answers_one_row_of_logits_a_row(name: str) -> None:
    model, data = applied(name).model, tiny.pictures()
    if isinstance(model, Network):
        assert not model.module.training
        assert all(p.is_contiguous() and p.device.type == "cpu" for p in model.module.parameters())
        out = tiny.logits(model, data)
    else:
        onnx.checker.check_model(model.proto)
        out = session(model.proto).run(["logits"], {"images": data.split("val").inputs["images"][:]})[0]
    assert out.shape == (len(data.split("val")), 3) and np.isfinite(out).all() and out.std() > 0


@each
def test_facts_fit_on_a_card(name: str) -> None:
    technique = import_module(f"tasks.techniques.{name}")
    card = Card(
        variant="row",
        parent="data",
        technique=name,
        form=technique.GIVES,
        params=technique.Params(**CASES[name].params).model_dump(mode="json"),
        facts=applied(name).facts,
    )
    assert Card.model_validate_json(card.model_dump_json()) == card
    assert technique.Params.model_validate(card.params).model_dump(mode="json") == card.params


def without_weights() -> Graph:
    """A graph whose one matrix product multiplies two activations."""
    proto = tiny.exported()
    for node in proto.graph.node:
        if node.op_type == "Gemm":
            node.op_type = "MatMul"
            node.input[:] = [node.input[0], node.input[0]]
            del node.attribute[:]
    del proto.graph.value_info[:], proto.graph.output[0].type.tensor_type.shape.dim[:]
    return Graph(proto)


@each
def test_wrong_use_raises(name: str) -> None:
    starts = {
        "train": (tiny.trained("numbers"), tiny.numbers()),
        "cluster": (tiny.trained("numbers"), tiny.numbers()),
        "quantize": (without_weights(), tiny.pictures()),
    }
    parent, data = starts.get(name, (parent_of(name), tiny.pictures()))
    with pytest.raises(TechniqueError, match=CASES[name].says):
        applied(name, parent, data, **CASES[name].wrong)


def test_importing_a_plug_in_is_cheap() -> None:
    modules = [f"tasks.techniques.{n}" for n in NAMES]
    modules += [f"tasks.models.{m.name}" for m in pkgutil.iter_modules(tasks.models.__path__)]
    heavy = ("torch", "onnx", "onnxruntime", "numpy", "sklearn", "pandas")
    code = f"import sys, {', '.join(modules)}; print(*(m for m in {heavy} if m in sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tasks.__path__[0] + "/..")
    assert (out.returncode, out.stdout.strip()) == (0, ""), out
