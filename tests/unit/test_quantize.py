"""INT8: integers checked against the definition, ranges by method, and what stays float."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tasks.core.contract import Graph
from tasks.core.errors import TechniqueError
from tasks.core.export import session
from tasks.techniques import prune, quantize, train
from tests.unit import tiny


def quantized(kind: str = "pictures", **params: Any) -> quantize.Outcome:  # type: ignore[name-defined]
    data = tiny.pictures() if kind == "pictures" else tiny.numbers()
    return quantize.apply(Graph(tiny.exported(kind)), data, quantize.Params(**params))


def constants(proto: onnx.ModelProto) -> dict[str, np.ndarray[Any, Any]]:
    return {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}


def ops(proto: onnx.ModelProto) -> list[str]:
    return [n.op_type for n in proto.graph.node]


def test_weights_are_symmetric_int8_with_a_scale_an_output_channel() -> None:
    before, after = constants(tiny.exported()), constants(quantized().model.proto)
    for name in ("body.2.0.weight", "body.4.0.weight"):
        weight = before[name]
        scale = np.abs(weight).reshape(len(weight), -1).max(axis=1) / 127
        assert after[f"{name}_quantized"].dtype == np.int8
        assert not after[f"{name}_zero_point"].any()
        assert np.allclose(after[f"{name}_scale"], scale, rtol=1e-5)
        back = after[f"{name}_quantized"] * after[f"{name}_scale"][:, None, None, None]
        assert (np.abs(back - weight) <= scale[:, None, None, None] / 2 + 1e-6).all()


def test_activations_are_unsigned_and_minmax_spans_what_calibration_saw() -> None:
    proto = quantized().model.proto
    found = constants(proto)
    zeros = [found[n.input[2]].dtype for n in proto.graph.node if n.op_type == "QuantizeLinear"]
    assert zeros and all(z == np.uint8 for z in zeros)
    images = tiny.pictures().split("calibration").inputs["images"][:].astype(np.float32)
    x = (images - 60) / 50
    (first,) = (n for n in proto.graph.node if n.op_type == "QuantizeLinear" and n.input[0] == "div")
    assert found[first.input[1]] == pytest.approx((x.max() - x.min()) / 255, rel=1e-5)


@pytest.mark.parametrize("calibration", ["minmax", "entropy", "percentile"])
def test_answers_stay_right_and_the_file_shrinks(calibration: str) -> None:
    data, outcome = tiny.pictures(), quantized(calibration=calibration)
    out = session(outcome.model.proto).run(["logits"], {"images": data.split("val").inputs["images"][:]})[0]
    assert tiny.accuracy(out, data) > 0.95
    weights = sum(a.nbytes for a in constants(tiny.exported()).values() if a.ndim in (2, 4))
    small = sum(a.nbytes for a in constants(outcome.model.proto).values() if a.ndim in (2, 4))
    assert small * 4 == weights
    assert outcome.facts["nodes_quantized"] == ["body.0.0", "body.2.0", "body.4.0", "body.7"]
    assert outcome.facts["nodes_left_float"] == {}


def test_the_three_methods_find_different_ranges() -> None:
    scales = [
        tuple(float(a) for n, a in sorted(constants(quantized(calibration=c).model.proto).items()) if n == "relu_scale")
        for c in ("minmax", "entropy", "percentile")
    ]
    assert len(set(scales)) == 3 and all(s[0] <= scales[0][0] for s in scales)


def test_the_logits_are_not_rounded() -> None:
    proto = quantized().model.proto
    (last,) = (n for n in proto.graph.node if "logits" in n.output)
    assert last.op_type == "Gemm"
    data = tiny.pictures()
    out = session(proto).run(None, {"images": data.split("val").inputs["images"][:]})[0]
    assert len(np.unique(out)) > 150  # on 8 bits there could be 256 at most, and here far fewer


def test_dynamic_takes_matrix_products_alone() -> None:
    outcome = quantized(scheme="dynamic")
    assert "MatMulInteger" in ops(outcome.model.proto) and "ConvInteger" not in ops(outcome.model.proto)
    assert outcome.facts["nodes_quantized"] == ["body.7"]
    assert set(outcome.facts["nodes_left_float"]) == {"body.0.0", "body.2.0", "body.4.0"}
    assert all("slower" in why for why in outcome.facts["nodes_left_float"].values())


def test_dynamic_quantizes_every_layer_of_an_mlp() -> None:
    data, outcome = tiny.numbers(), quantized("numbers", scheme="dynamic")
    assert ops(outcome.model.proto).count("MatMulInteger") == 3 and "Gemm" not in ops(outcome.model.proto)
    out = session(outcome.model.proto).run(None, {"features": data.split("val").inputs["features"][:]})[0]
    assert tiny.accuracy(out, data) >= tiny.accuracy(tiny.logits(tiny.trained("numbers"), data), data) - 0.05


def _conv_then(op: str) -> Graph:
    ones = {"w": (4, 1, 3, 3), "scale": (4,), "bias": (4,), "mean": (4,), "var": (4,)}
    rng = np.random.default_rng(0)
    tensors = [numpy_helper.from_array(rng.uniform(0.5, 1, s).astype(np.float32), n) for n, s in ones.items()]
    middle = [helper.make_node("Relu", ["c"], ["r"])] if op == "Relu" else []
    norm_of = "r" if op == "Relu" else "c"
    nodes = [
        helper.make_node("Cast", ["images"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
        *middle,
        helper.make_node("BatchNormalization", [norm_of, "scale", "bias", "mean", "var"], ["n"], name="norm"),
        helper.make_node("GlobalAveragePool", ["n"], ["g"], name="pool"),
        helper.make_node("Flatten", ["g"], ["logits"], name="flat"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 1, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 4])],
        tensors,
    )
    return Graph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))


def test_batch_normalisation_is_folded_first() -> None:
    parent = _conv_then("nothing")
    outcome = quantize.apply(parent, tiny.pictures(), quantize.Params())
    assert "BatchNormalization" not in ops(outcome.model.proto) and "BatchNormalization" in ops(parent.proto)
    feed = {"images": tiny.pictures().split("val").inputs["images"][:]}
    before, after = (session(p).run(None, feed)[0] for p in (parent.proto, outcome.model.proto))
    assert np.abs(before - after).max() < 0.02 * np.abs(before).max()


def test_batch_normalisation_that_cannot_be_folded_is_named() -> None:
    with pytest.raises(TechniqueError, match=r"batch normalisation could not be folded.*norm"):
        quantize.apply(_conv_then("Relu"), tiny.pictures(), quantize.Params())


def test_train_prune_quantize_compose() -> None:
    """A chain of forms torch -> torch -> onnx keeps its accuracy."""
    from tasks.core.export import export, parity

    data = tiny.pictures()
    trained = train.apply(tiny.trained(), data, train.Params(epochs=1, lr=0.01, batch=32)).model
    recover = {"epochs": 4, "lr": 0.05, "batch": 32}
    pruned = prune.apply(trained, data, prune.Params(ratio=0.5, round_to=2, recover=recover)).model
    proto = export(pruned, data)
    assert parity(pruned, proto, data) < 1e-3
    small = quantize.apply(Graph(proto), data, quantize.Params()).model.proto
    out = session(small).run(None, {"images": data.split("val").inputs["images"][:]})[0]
    assert tiny.accuracy(out, data) > 0.95
    assert constants(small)["body.2.0.weight_quantized"].shape == (8, 4, 3, 3)
