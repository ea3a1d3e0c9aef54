"""Excluded layers: in float in the file, in float in ONNX Runtime, and on the card."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.core.errors import TechniqueError
from tasks.techniques import quantize
from tests.unit.float_graph import constants, data_for, logits, made, mlp


@pytest.mark.parametrize("scheme", ["static", "dynamic", "weight_only", "fp16", "bf16"])
def test_an_excluded_layer_keeps_its_very_weights(scheme: str) -> None:
    parent = mlp()
    outcome = made(parent, scheme=scheme, exclude=["*.1"])
    assert outcome.facts["nodes_left_float"] == {"body.1": "excluded by '*.1'"}
    weight = constants(parent.proto)["body.1.weight"]
    same = [a for a in constants(outcome.model.proto).values() if a.dtype == np.float32 and a.shape == weight.shape]
    assert len(same) == 1 and np.array_equal(same[0], weight)
    reads = {name for n in outcome.model.proto.graph.node if n.op_type in ("Gemm", "MatMul") for name in n.input}
    assert any(name.startswith("body.1.weight") for name in reads)


@pytest.mark.parametrize("layer", ["body.0", "body.1", "body.2"])
def test_onnx_runtime_does_not_quantize_an_excluded_layer_by_itself(layer: str) -> None:
    parent = mlp(frail=layer)
    data = data_for(parent)
    x, y = data.split("val").inputs["features"][:], data.split("val").labels
    whole, spared = (quantize.apply(parent, data, quantize.Params(exclude=e)) for e in ((), (layer,)))
    assert (logits(whole.model.proto, x).argmax(axis=1) == y).mean() < 0.9
    assert (logits(spared.model.proto, x).argmax(axis=1) == y).mean() > 0.98


def test_a_node_without_weights_can_be_excluded_and_an_unknown_one_not() -> None:
    assert made(exclude=["relu_0"]).facts["nodes_left_float"] == {"relu_0": "excluded by 'relu_0'"}
    with pytest.raises(TechniqueError, match=r"'body.7' matches no layer.*body.0, body.1, body.2; did you mean 'body"):
        made(exclude=["body.7"])
    with pytest.raises(TechniqueError, match="left every node in float"):
        made(exclude=["body.*"])
