"""Quantization-aware training as a whole: it wins back what rounding loses, and ONNX Runtime fuses what it gives."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tasks.core import qdq
from tasks.core.contract import Data, Graph, Network
from tasks.core.export import export
from tasks.core.mixed import answers
from tasks.core.shape import build_like
from tasks.techniques import quantize
from tests.unit import tiny
from tests.unit.test_qat import made

LOUD = 110.0


class Wild(nn.Module):
    """Depthwise and pointwise convolutions with ReLU6, its channels' weights of very different size."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 12, 3, padding=1)
        self.depthwise = nn.Conv2d(12, 12, 3, padding=1, groups=12)
        self.point = nn.Conv2d(12, 16, 1)
        self.last = nn.Linear(16 * 4, 3)

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        x = (raw.float() - 60) / 50
        x = nn.functional.relu6(self.depthwise(nn.functional.relu6(self.first(x))))
        x = nn.functional.max_pool2d(nn.functional.relu6(self.point(x)), (4, 4))
        out: torch.Tensor = self.last(x.flatten(1))
        return out


def wild(data: Data) -> Network:
    """A trained `Wild`, made over so that its answers are the same and one scale a weight is too few for it."""
    from tasks.core.fit import cross_entropy_loss, fit
    from tasks.techniques.train import Params

    torch.manual_seed(0)
    module = Wild()
    recipe = Params(epochs=12, lr=0.02, batch=32)
    fit(module, data, cross_entropy_loss(recipe), recipe)
    with torch.no_grad():
        # Channels that carry nothing and set the scale of the others.
        module.first.weight[0] = module.depthwise.weight[0] = module.point.weight[15] = LOUD
        module.point.weight[:15, 0] = 0
        module.last.weight[:, 60:] = 0
    return Network(module.eval(), {"arch": "wild"})


@pytest.mark.integration
def test_training_wins_back_what_rounding_loses() -> None:
    data = tiny.pictures()
    parent = wild(data)
    plain = quantize.apply(Graph(export(parent, data)), data, quantize.Params(weights="per_tensor")).model
    trained = made(parent, data, weights="per_tensor", epochs=25, lr=0.01, alpha=0.5)
    right = data.split("val").labels
    floats, rounded, learnt = (
        float((x.argmax(1) == right).mean())
        for x in (
            tiny.logits(parent, data),
            answers(plain.proto, data.split("val")),
            answers(trained.model.proto, data.split("val")),
        )
    )
    assert floats > 0.95 and rounded < floats - 0.1, (floats, rounded)
    assert learnt > rounded + 0.1 and learnt == pytest.approx(trained.facts["fake_quant_val_accuracy"], abs=0.02)
    assert trained.facts["computed_as"] == {"QGemm": 1, "QLinearConv": 3}


@pytest.mark.integration
@pytest.mark.parametrize("arch", ["small_cnn", "resnet", "resnet9", "mlp"])
def test_onnx_runtime_fuses_every_layer_as_in_the_static_form(arch: str) -> None:
    data = tiny.pictures()
    torch.manual_seed(0)
    network = build_like({"arch": arch}, data)
    outcome = made(network, data, epochs=1)
    static = quantize.apply(Graph(export(network, data)), data, quantize.Params()).model.proto
    theirs = {op: n for op, n in qdq.computed_as(static).items() if op != "QLinearMul"}  # of the logits, float here
    assert outcome.facts["computed_as"] == theirs and not set(theirs) & set(qdq.FLOAT)
    layers = [m for m in network.module.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(outcome.facts["layers_quantized"]) == len(layers) and outcome.facts["layers_left_float"] == {}
    assert len(outcome.model.proto.SerializeToString()) < 1.05 * len(static.SerializeToString())
    assert not any(n.metadata_props for n in outcome.model.proto.graph.node)


@pytest.mark.integration
def test_an_excluded_layer_runs_in_float_and_is_named() -> None:
    data = tiny.pictures()
    outcome = made(tiny.trained(), data, exclude=["body.2.*"])
    assert outcome.facts["layers_left_float"] == {"body.2.0": "excluded by 'body.2.*'"}
    ops = outcome.facts["computed_as"]
    assert ops["QLinearConv"] == 2 and ops.get("Conv", 0) + ops.get("FusedConv", 0) == 1
