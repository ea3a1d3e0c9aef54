"""What every technique must keep, whatever it does: one row a technique, taken up by every test here."""

from __future__ import annotations

import copy
import json
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import onnx
import pytest
from pydantic import ValidationError

import tasks.models
import tasks.techniques
from tasks.core.contract import Card, Graph, Network, Params
from tasks.core.errors import TechniqueError
from tasks.core.export import session
from tests.unit import tiny
from tests.unit.cases import CASES, applied, parent_of, write_files

NAMES = sorted(m.name for m in pkgutil.iter_modules(tasks.techniques.__path__))
EXPORTING = {"act", "early_exit", "qat"}
"""Which make a graph themselves, for seconds a time: among the integration tests."""
each = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.integration if n in EXPORTING else ()) for n in NAMES]
)


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_files()


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
    assert all(word in technique.__doc__ for word in ("Use when", "Changes", "Costs"))
    assert name in ("load", "load_onnx") or re.search(r"arXiv:\d{4}\.\d{4,5}|doi\.org/10\.|Source:", technique.__doc__)
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
