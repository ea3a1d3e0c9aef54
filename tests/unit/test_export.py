"""ONNX export: the same answers, plain bytes, and a parity check that cannot be fooled."""

from __future__ import annotations

import re

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from tasks.core.contract import Graph
from tasks.core.errors import TechniqueError
from tasks.core.export import LEVELS, OPSET, export, parity, relative_difference, session
from tasks.core.graph import plain, pool_globally
from tests.unit import tiny


def test_takes_raw_input_in_any_number_of_rows() -> None:
    proto, data = tiny.exported(), tiny.pictures()
    (given,), (out,) = proto.graph.input, proto.graph.output
    assert (given.name, out.name) == ("images", "logits")
    assert given.type.tensor_type.elem_type == TensorProto.UINT8
    assert [d.dim_value for d in given.type.tensor_type.shape.dim] == [0, 1, 8, 8]
    assert [(o.domain, o.version) for o in proto.opset_import] == [("", OPSET)]
    run = session(proto)
    images = data.split("val").inputs["images"][:]
    whole = run.run(None, {"images": images})[0]
    assert np.allclose(whole, tiny.logits(tiny.trained(), data), atol=1e-4)
    for rows in (1, 2, 7):
        assert np.allclose(run.run(None, {"images": images[:rows]})[0], whole[:rows], atol=1e-5)


def test_is_quiet_repeatable_and_free_of_paths(capfd: pytest.CaptureFixture[str]) -> None:
    again = export(tiny.trained(), tiny.pictures())
    said = capfd.readouterr()
    assert said.out == said.err == ""
    assert again.SerializeToString(deterministic=True) == tiny.exported().SerializeToString(deterministic=True)
    assert not re.search(rb"/[a-z]+/|\.py|stack_trace|metadata", again.SerializeToString())
    assert not any(n.op_type == "BatchNormalization" for n in again.graph.node)


def test_parity_holds_and_planted_faults_are_caught() -> None:
    network, data = tiny.trained(), tiny.pictures()
    proto = tiny.exported()
    assert parity(network, proto, data) < 1e-4
    weights = next(t for t in proto.graph.initializer if t.name.endswith("weight"))
    values = onnx.numpy_helper.to_array(weights).copy()
    values.flat[0] += 0.05
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    with pytest.raises(TechniqueError, match="differ by"):
        parity(network, proto, data)


def test_parity_is_relative_to_the_scale_of_the_logits() -> None:
    reference = np.random.default_rng(0).normal(size=(50, 3))
    for scale in (1e-3, 1.0, 1e4):
        found = relative_difference((reference + 0.01) * scale, reference * scale)
        assert found == pytest.approx(0.01 / reference.std())


def test_classes_far_apart_do_not_hide_that_all_rows_answer_alike() -> None:
    """A network that has lost its weights but kept the bias of its last layer is not the network."""
    bias = np.array([0.0, 100.0, -100.0])
    reference = bias + 0.02 * np.random.default_rng(0).normal(size=(50, 3))
    assert np.abs(bias - reference).max() / reference.std() < 1e-3  # what the standard deviation of all would say
    assert relative_difference(np.tile(bias, (50, 1)), reference) > 1


def test_rounding_is_no_fault_and_lost_rows_are_no_rounding() -> None:
    """An untrained network's rows differ by little more than float32 keeps of its logits."""
    rng = np.random.default_rng(0)
    bias, noise = np.array([0.0, 1.0, -2.0]), rng.uniform(-1, 1, size=(50, 3))
    for moves in (1e-4, 5e-5):
        reference = bias + moves * rng.normal(size=(50, 3))
        assert relative_difference(reference + 1e-6 * noise, reference) < 1e-5
        assert relative_difference(np.tile(bias, (50, 1)), reference) > 1


@pytest.mark.parametrize("level", LEVELS[1:])
def test_a_fault_of_the_optimizer_is_caught(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network, data = tiny.trained(), tiny.pictures()
    right, wrong = tiny.exported(), tiny.exported()
    for tensor in wrong.graph.initializer:
        if tensor.name.endswith("weight"):
            tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) * 0, tensor.name))
    monkeypatch.setattr("tasks.core.export.session", lambda proto, at: session(wrong if at == level else proto, at))
    with pytest.raises(TechniqueError, match=rf"once ONNX Runtime optimizes the graph \({level}\)"):
        parity(network, right, data)


def test_levels_are_all_that_onnx_runtime_has() -> None:
    assert {*LEVELS} == {*onnxruntime.GraphOptimizationLevel.__members__}


@pytest.mark.parametrize("constant", [0.0, 5.0])
def test_parity_with_a_constant_proves_nothing(constant: float) -> None:
    same = np.tile([constant, 1.0, -2.0], (50, 1)) * (constant != 0)
    with pytest.raises(TechniqueError, match="same logits for every row"):
        relative_difference(same, same)


def test_a_network_of_lost_weights_is_caught() -> None:
    network, data = tiny.trained(), tiny.pictures()
    for p in network.module.parameters():
        torch.nn.init.constant_(p, 1e-20)
    with pytest.raises(TechniqueError, match="same logits for every row"):
        parity(network, tiny.exported(), data)


def test_a_nan_is_not_parity() -> None:
    network, data = tiny.trained(), tiny.pictures()
    with torch.no_grad():
        network.module.body[-1].bias[0] = float("nan")  # type: ignore[index,union-attr,operator]
    with pytest.raises(TechniqueError):
        parity(network, tiny.exported(), data)


def _mean_graph(axes: list[int], keepdims: int) -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["m", "axes"], ["logits"], keepdims=keepdims)],
        "g",
        [helper.make_tensor_value_info("m", TensorProto.FLOAT, ["n", 2, 4, 6])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        [helper.make_tensor("axes", TensorProto.INT64, [len(axes)], axes)],
        value_info=[helper.make_tensor_value_info("m", TensorProto.FLOAT, ["n", 2, 4, 6])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)


@pytest.mark.parametrize(
    ("axes", "keepdims", "op"),
    [
        ([2, 3], 1, "GlobalAveragePool"),
        ([-1, -2], 1, "GlobalAveragePool"),
        ([2, 3], 0, "ReduceMean"),
        ([3], 1, "ReduceMean"),
    ],
)
def test_a_mean_over_the_picture_becomes_a_pooling_that_has_an_int8_form(
    axes: list[int], keepdims: int, op: str
) -> None:
    proto = _mean_graph(axes, keepdims)
    x = np.random.default_rng(0).normal(size=(3, 2, 4, 6)).astype(np.float32)
    before = session(proto).run(None, {"m": x})[0]
    pool_globally(proto)
    assert [n.op_type for n in proto.graph.node] == [op]
    assert np.allclose(session(proto).run(None, {"m": x})[0], before, atol=1e-6)


def test_plain_leaves_its_input_and_what_the_model_computes() -> None:
    proto = tiny.exported()
    noisy = Graph(proto).proto
    noisy.producer_name, noisy.doc_string = "someone", "/home/someone"
    noisy.metadata_props.add(key="path", value="/home/someone")
    noisy.graph.node[0].metadata_props.add(key="stack_trace", value="/home/someone/x.py")
    noisy.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    clean = plain(noisy)
    assert b"someone" not in clean.SerializeToString() and b"someone" in noisy.SerializeToString()
    assert clean.SerializeToString() == tiny.exported().SerializeToString()
