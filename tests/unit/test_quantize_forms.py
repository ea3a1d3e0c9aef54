"""Weight-only, 16 bits, scales a tensor, calibration rows: numbers by the definition, and clear refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from pydantic import ValidationError

from tasks.core.blockwise import packed_bytes
from tasks.core.contract import Graph
from tasks.core.errors import TechniqueError
from tasks.evidence.graph_cost import graph_cost
from tasks.evidence.session import open_session, predict
from tasks.techniques import quantize
from tests.unit.float_graph import constants, data_for, logits, made, mlp

FORMS: dict[str, dict[str, Any]] = {
    "per_tensor": {"weights": "per_tensor"},
    "dynamic_per_tensor": {"scheme": "dynamic", "weights": "per_tensor"},
    "few_rows": {"calibration_rows": 20},
    "int4": {"scheme": "weight_only", "block_size": 16},
    "int8": {"scheme": "weight_only", "bits": 8, "symmetric": False, "arithmetic": "float32"},
    "fp16": {"scheme": "fp16"},
    "bf16": {"scheme": "bf16"},
}


def ops(proto: onnx.ModelProto) -> list[str]:
    return [n.op_type for n in proto.graph.node]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_valid_evaluable_and_made_of_the_same_bytes(form: str, tmp_path: Path) -> None:
    parent = mlp()
    data, before = data_for(parent), parent.proto.SerializeToString(deterministic=True)
    first, second = (quantize.apply(parent, data, quantize.Params(**FORMS[form])) for _ in range(2))
    raw = first.model.proto.SerializeToString(deterministic=True)
    assert raw == second.model.proto.SerializeToString(deterministic=True) and first.facts == second.facts
    assert parent.proto.SerializeToString(deterministic=True) == before
    assert len(raw) < 0.62 * len(before)
    onnx.checker.check_model(first.model.proto)
    (path := tmp_path / "model.onnx").write_bytes(raw)
    answers = predict(open_session(path, 1), data.split("val")).argmax(axis=1)
    assert (answers == data.split("val").labels).mean() > 0.85
    assert first.facts["nodes_quantized"] == ["body.0", "body.1", "body.2"] and not first.facts["nodes_left_float"]
    (tmp_path / "float.onnx").write_bytes(before)
    cost, whole = graph_cost(path), graph_cost(tmp_path / "float.onnx")
    assert (cost.macs, cost.parameters) == (whole.macs, whole.parameters)


@pytest.mark.parametrize("op", ["Gemm", "MatMul"])
@pytest.mark.parametrize(("bits", "symmetric"), [(4, True), (4, False), (8, True)])
def test_packed_weights_are_the_rounded_ones(op: str, bits: int, symmetric: bool) -> None:
    parent = mlp((), op=op)
    how = {"scheme": "weight_only", "bits": bits, "symmetric": symmetric, "block_size": 16, "arithmetic": "float32"}
    proto = made(parent, **how).model.proto
    (node,) = (n for n in proto.graph.node if n.op_type == "MatMulNBits")
    tensors = [constants(proto)[name] for name in node.input[1:]]
    packed, scales = tensors[0], tensors[1].reshape(4, 3)  # 4 outputs, blocks of 16, 16 and 8 of the 40 inputs
    if bits == 4:
        packed = np.stack([packed & 15, packed >> 4], axis=-1).reshape(4, 3, 16)
    zeros: Any = 2 ** (bits - 1)
    if not symmetric:
        nibbles = tensors[2].reshape(4, 2)
        zeros = np.stack([nibbles & 15, nibbles >> 4], axis=-1).reshape(4, 4)[:, :3, None]
    back = ((packed.astype(np.float32) - zeros) * scales[:, :, None]).reshape(4, 48)[:, :40]
    weight = constants(parent.proto)["body.0.weight"].T
    steps = np.repeat(np.abs(scales), 16, axis=1)[:, :40]
    # symmetric: the other sign has one level less, so that its extreme may be off by a whole step
    assert (np.abs(back - weight) <= steps * (1.01 if symmetric else 0.51)).all()
    assert (np.abs(back - weight) <= steps * 0.51).mean() > 0.9
    x = data_for(parent).train.inputs["features"][:]
    by_hand = x @ back.T + constants(parent.proto)["body.0.bias"]
    assert np.abs(logits(proto, x) - by_hand).max() < 1e-4


def test_a_block_that_would_cost_more_than_float_is_left() -> None:
    outcome = made(mlp((300,)), scheme="weight_only", bits=8, block_size=256)
    assert outcome.facts["nodes_quantized"] == ["body.1"]  # 300 inputs in two blocks; 40 in one of 256 are 260 bytes
    assert (
        "40 inputs, padded to blocks of 256, take 78000 bytes, 48000 in float"
        in outcome.facts["nodes_left_float"]["body.0"]
    )
    assert packed_bytes(40, 300, bits=8, block_size=256, symmetric=True) == 300 * (256 + 4)


def test_a_scaled_gemm_and_convolutions_have_no_weight_only_form() -> None:
    parent = mlp()
    parent.proto.graph.node[0].attribute.append(helper.make_attribute("alpha", 0.5))
    left = made(parent, scheme="weight_only").facts["nodes_left_float"]
    assert left == {"body.0": "MatMulNBits has no form of a Gemm with alpha, beta or transA"}


@pytest.mark.parametrize("form", ["per_tensor", "dynamic_per_tensor", "int8"])
@pytest.mark.parametrize("again", ["static", "dynamic", "weight_only"])
def test_what_is_quantized_already_says_so(form: str, again: str) -> None:
    """A graph of matrix products alone, all of them taken the first time."""
    data = data_for(mlp())
    model = quantize.apply(mlp(), data, quantize.Params(**FORMS[form])).model
    assert isinstance(model, Graph)
    with pytest.raises(TechniqueError, match=f"is quantized already, and has no node left for {again}"):
        quantize.apply(model, data, quantize.Params(scheme=again))


def test_one_scale_a_tensor() -> None:
    weight = constants(mlp().proto)["body.0.weight"]
    after = constants(made(weights="per_tensor").model.proto)
    assert after["body.0.weight_scale"].shape == ()
    assert after["body.0.weight_scale"] == pytest.approx(np.abs(weight).max() / 127, rel=1e-5)


def test_ranges_are_those_of_the_first_calibration_rows() -> None:
    parent = mlp()
    x = data_for(parent).split("calibration").inputs["features"][:7]
    found = constants(made(parent, calibration_rows=7).model.proto)["features_scale"]
    assert found == pytest.approx((x.max() - x.min()) / 255, rel=1e-5)
    with pytest.raises(TechniqueError, match=r"calibration_rows is 51; data\.calibration has 50 rows"):
        made(parent, calibration_rows=51)


def test_bf16_rounds_to_nearest_and_says_where_it_computes() -> None:
    outcome = made(scheme="bf16")
    weight = constants(mlp().proto)["body.0.weight"]
    back = constants(outcome.model.proto)["body.0.weight_bf16"].astype(np.float32)
    assert 0 < np.abs(back - weight).max() and (np.abs(back - weight) <= np.abs(weight) * 2.0**-8).all()
    assert sum(outcome.facts["layers_computed_in"].values()) == 3


def test_fp16_keeps_the_types_of_inputs_and_outputs_and_tells_what_it_clamped() -> None:
    parent = mlp(frail="body.2")
    tensor = next(t for t in parent.proto.graph.initializer if t.name == "body.2.weight")
    values = np.array(constants(parent.proto)["body.2.weight"])
    values[-1] = 1e6
    tensor.raw_data = values.tobytes()
    outcome = made(parent, scheme="fp16")
    graph = outcome.model.proto.graph
    assert [v.type.tensor_type.elem_type for v in (*graph.input, *graph.output)] == [TensorProto.FLOAT] * 2
    assert outcome.facts["constants_clamped"] == 4
    assert sum(outcome.facts["layers_computed_in"].values()) == 3


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"bits": 8}, "bits does nothing with scheme: static; it is for weight_only"),
        ({"scheme": "dynamic", "calibration_rows": 9}, "calibration_rows does nothing with scheme: dynamic"),
        (
            {"scheme": "fp16", "weights": "per_tensor"},
            "weights does nothing with scheme: fp16; it is for static, dynamic",
        ),
        ({"scheme": "bf16", "keep_float": {"accuracy_drop": 0.01}}, "keep_float does nothing with scheme: bf16"),
        ({"scheme": "weight_only", "block_size": 48}, "block_size"),
        ({"scheme": "weight_only", "bits": 2}, "bits"),
        ({"calibration_rows": 0}, "calibration_rows"),
        ({"exclude": [""]}, "exclude"),
        ({"keep_float": {"accuracy_drop": -0.1}}, "accuracy_drop"),
    ],
)
def test_combinations_without_sense_are_errors_of_the_plan(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        quantize.Params(**params)
