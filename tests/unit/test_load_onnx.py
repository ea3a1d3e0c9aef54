"""A stranger's ONNX file: fitted to the data, answering as the file does, or refused with what to do."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tasks.core.contract import Graph
from tasks.core.errors import TechniqueError
from tasks.core.export import LEVELS, OPSET, session
from tasks.plan import rows
from tasks.plan.problems import Document
from tasks.techniques import load_onnx, quantize
from tests.unit import tiny

DATA = tiny.pictures()
W = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def linear(
    *,
    batch: Any = "n",
    row: Any = (1, 8, 8),
    kind: int = TensorProto.FLOAT,
    opset: int = 17,
    end: str = "",
    **more: Any,
) -> onnx.ModelProto:
    """x (batch, *row) -> y (batch, 3): flattened by a Reshape that holds the batch, times W; softmax if asked."""
    first = batch if isinstance(batch, int) else -1
    nodes = [
        *([helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT)] if kind != TensorProto.FLOAT else []),
        helper.make_node("Reshape", ["x" if kind == TensorProto.FLOAT else "f", "shape"], ["flat"]),
        helper.make_node(
            more.get("op", "MatMul"), ["flat", "w"], ["logits" if end else "y"], domain=more.get("domain")
        ),
        *([helper.make_node(end, ["logits"], ["y"], axis=-1)] if end else []),
        *[helper.make_node("Identity", ["flat"], [name]) for name in more.get("others", ())],
    ]
    constants = [numpy_helper.from_array(np.array([first, 64]), "shape"), numpy_helper.from_array(W, "w")]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 3])]
    outputs += [helper.make_tensor_value_info(n, TensorProto.FLOAT, [batch, 64]) for n in more.get("others", ())]
    inputs = [helper.make_tensor_value_info("x", kind, [batch, *row])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", opset), *([helper.make_opsetid("mine", 1)] if "domain" in more else [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def adopted(proto: onnx.ModelProto | None = None, **params: Any) -> Any:
    if proto is not None:
        onnx.save(proto, "m.onnx")
    digest = hashlib.sha256(Path("m.onnx").read_bytes()).hexdigest()
    return load_onnx.apply(None, DATA, load_onnx.Params(**{"path": "m.onnx", "sha256": digest, **params}))


def answers(outcome: Any, rows: int = 5) -> np.ndarray[Any, Any]:
    assert isinstance(outcome.model, Graph)
    onnx.checker.check_model(outcome.model.proto, full_check=True)
    assert {o.domain: o.version for o in outcome.model.proto.opset_import} == {"": OPSET}
    out: np.ndarray[Any, Any] = session(outcome.model.proto).run(["logits"], {"images": images(rows)})[0]
    return out


def images(rows: int = 5) -> np.ndarray[Any, Any]:
    return np.asarray(DATA.split("val").inputs["images"][:rows])


def expected(rows: int = 5, *, normalised: bool = True) -> np.ndarray[Any, Any]:
    x = images(rows).astype(np.float64)
    x = (x - 60) / 50 if normalised else x
    return x.reshape(rows, 64) @ W


@pytest.mark.parametrize("batch", ["n", 1, 2])
@pytest.mark.parametrize("opset", [11, 17, OPSET])
def test_a_float_graph_gets_raw_rows_of_any_number(batch: Any, opset: int) -> None:
    outcome = adopted(linear(batch=batch, opset=opset))
    assert np.allclose(answers(outcome), expected(), atol=1e-3)
    assert outcome.facts["put_in_front"] == ["cast", "minus the mean, over the deviation"]
    assert outcome.facts["batch_was"] == ("any" if batch == "n" else batch)


def test_a_graph_that_normalises_by_itself_gets_0_to_255() -> None:
    assert np.allclose(answers(adopted(linear(), normalise=False)), expected(normalised=False), rtol=1e-4, atol=1e-2)
    outcome = adopted(linear(kind=TensorProto.UINT8))
    assert outcome.facts["put_in_front"] == []
    assert np.allclose(answers(outcome), expected(normalised=False), rtol=1e-4, atol=1e-2)


def test_channels_last_is_transposed() -> None:
    outcome = adopted(linear(row=(8, 8, 1)))
    assert outcome.facts["put_in_front"][-1] == "transpose"
    assert np.allclose(answers(outcome), expected(), atol=1e-3)


def test_a_final_softmax_and_further_outputs_are_taken_off() -> None:
    outcome = adopted(linear(end="Softmax", others=("hidden",)), output="y")
    assert outcome.facts["taken_off"] == ["output hidden", "softmax"]
    assert np.allclose(answers(outcome), expected(), atol=1e-3)
    assert [o.name for o in outcome.model.proto.graph.output] == ["logits"]
    assert "Identity" not in {n.op_type for n in outcome.model.proto.graph.node}


def test_a_file_of_this_house_comes_back_unchanged_and_can_be_quantized() -> None:
    given = tiny.exported()
    outcome = adopted(given)
    assert outcome.facts["put_in_front"] == outcome.facts["taken_off"] == []
    feed = {"images": images(64)}
    assert np.array_equal(session(outcome.model.proto).run(None, feed)[0], session(given).run(None, feed)[0])
    small = quantize.apply(outcome.model, DATA, quantize.Params())
    assert small.facts["nodes_quantized"]


def outside() -> None:
    onnx.save(linear(), "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)


@pytest.mark.parametrize(
    ("proto", "says"),
    [
        (lambda: linear(row=(1, 9, 9)), r"found shape \('\?', 1, 9, 9\); allowed: \('any', 1, 8, 8\)"),
        (lambda: linear(kind=TensorProto.INT32), "found int32; allowed: uint8, as the data are, or floats"),
        (lambda: linear(others=("hidden",)), r"has the outputs \['y', 'hidden'\]; say which"),
        (lambda: linear(domain="mine", op="Secret"), r"custom operators \['mine\.Secret'\]"),
        (outside, "keeps 2 weights in other files"),
        (lambda: Path("m.onnx").write_bytes(b"not a model") and None, "is no ONNX file|is not a valid model"),
    ],
)
def test_what_does_not_fit_is_refused(proto: Any, says: str) -> None:
    with pytest.raises(TechniqueError, match=says):
        adopted(proto())


def test_too_few_classes_are_refused() -> None:
    proto = linear()
    proto.graph.initializer[1].CopyFrom(numpy_helper.from_array(W[:, :2], "w"))
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 2
    with pytest.raises(TechniqueError, match=r"output 'y': found float \[None, 2\]; allowed: float \(N, 3\)"):
        adopted(proto)


def test_a_batch_that_cannot_be_freed_is_told() -> None:
    """A weight with one row a row of the batch."""
    proto = linear(batch=2)
    proto.graph.node[-1].output[0] = "z"
    proto.graph.node.append(helper.make_node("Add", ["z", "each"], ["y"]))
    proto.graph.initializer.append(numpy_helper.from_array(np.ones((2, 3), np.float32), "each"))
    with pytest.raises(TechniqueError, match="its batch is fixed at 2 inside"):
        adopted(proto)


def test_the_file_is_pinned() -> None:
    with pytest.raises(TechniqueError, match=r"load_onnx: pin m\.onnx"):
        adopted(linear(), sha256=None)
    with pytest.raises(TechniqueError, match="the plan says 0000"):
        adopted(linear(), sha256="0" * 64)


def problems(**parents: tuple[str, str]) -> list[str]:
    """What the plan says of rows {name: (parent, technique)} under `model: {arch: none}`."""
    doc = Document(Path("plan.yaml"), {"model": {"arch": "none"}})
    rows._check_forms(doc, {n: p for n, (p, _) in parents.items()}, {n: t for n, (_, t) in parents.items()})
    return [str(problem) for problem in doc.problems]


def test_the_plan_lets_only_onnx_techniques_follow() -> None:
    given = ("data", "load_onnx")
    assert problems(given=given, small=("given", "quantize")) == []
    (pruned,) = problems(given=given, small=("given", "prune"))
    assert "`given`, which is ONNX; allowed: a trainable parent" in pruned and "holds no network to train" in pruned
    (trained,) = problems(given=given, baseline=("data", "train"))
    assert "with the model `none`" in trained
    (below,) = problems(given=given, again=("given", "load_onnx"))
    assert "found `given`; allowed: `data`, where `load_onnx` starts" in below


@pytest.mark.parametrize("level", LEVELS)
def test_a_fault_at_any_level_of_optimization_is_caught(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = tiny.spoilt(level)
    monkeypatch.setattr(
        "tasks.core.adopt.session",
        lambda proto, at: (wrong if proto.graph.output[0].name == "logits" else session)(proto, at),
    )
    with pytest.raises(TechniqueError, match="the graph fitted to the data and the file differ by") as found:
        adopted(linear())
    assert (f"optimizes the graph ({level})" in str(found.value)) == (level != LEVELS[0])


def test_a_file_of_integers_is_compared_with_itself_at_each_level() -> None:
    """An optimizer may round integers otherwise, which is no fault of the fitting."""
    small = quantize.apply(Graph(tiny.exported()), DATA, quantize.Params())
    assert isinstance(small.model, Graph)
    assert adopted(small.model.proto).facts["differs_from_file"] == 0
