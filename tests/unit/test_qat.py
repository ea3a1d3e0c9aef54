"""Quantization-aware training: what is simulated is what runs, and it wins back what plain rounding loses."""

from __future__ import annotations

import copy
import sys
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from tasks.core import fake_quant, qdq
from tasks.core.contract import Data, Network
from tasks.core.errors import TechniqueError
from tasks.core.export import session
from tasks.core.mixed import answers
from tasks.core.ort_quantizer import OrtQuantizer
from tasks.core.traced import traced
from tasks.techniques import qat
from tests.unit import tiny

FIT = {"epochs": 2, "lr": 0.002, "batch": 32}


def made(parent: Network, data: Data, **params: Any) -> Any:
    torch.manual_seed(3)
    return qat.apply(parent, data, qat.Params(**FIT | params))


def simulated(parent: Network, data: Data, **rules: Any) -> fake_quant.Trainable:
    chosen = OrtQuantizer(**{"per_channel": True, "reduce_range": False, "exclude": ()} | rules)
    ready = fake_quant.prepared(traced(parent, data), chosen, data.split("calibration"))
    return fake_quant.Trainable(ready, freeze_at=10**9)


def constants(proto: onnx.ModelProto) -> dict[str, np.ndarray[Any, Any]]:
    return {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}


def test_folding_batch_normalisation_changes_no_answer() -> None:
    network, data = tiny.trained(), tiny.pictures()
    graph = traced(network, data)
    assert not any("batch_norm" in str(n.target) for n in graph.graph.nodes)
    with torch.no_grad():
        found = graph(*tiny.inputs(data)).numpy()
    np.testing.assert_allclose(found, tiny.logits(network, data), rtol=1e-4, atol=1e-4)


def test_the_simulation_rounds_as_its_definition_and_passes_the_gradient_straight_through() -> None:
    module = simulated(tiny.trained("numbers"), tiny.numbers()).eval()
    fake = fake_quant.activations(module)[0]
    scale, zero = float(fake.scale), int(fake.zero_point)
    x = torch.linspace(-10, 10, 401, requires_grad=True)
    y = fake(x)
    y.sum().backward()  # type: ignore[no-untyped-call]
    q = np.rint(x.detach().numpy() / scale) + zero
    np.testing.assert_allclose(y.detach().numpy(), (np.clip(q, 0, 255) - zero) * scale, atol=1e-5)
    inside = (q >= 0) & (q <= 255)
    assert 0 < inside.sum() < len(inside)
    assert x.grad is not None and np.array_equal(x.grad.numpy(), inside.astype(np.float32))


@pytest.mark.integration
def test_what_is_exported_answers_as_what_was_trained() -> None:
    """ONNX Runtime's integers against PyTorch's simulation: less than 1 % of the logits' scale apart on average."""
    network, data = tiny.trained("numbers"), tiny.numbers()
    module = simulated(network, data).eval()
    with torch.no_grad():
        before = module(*tiny.inputs(data)).numpy()
    proto, raised = qat.exported(module, network, data, 3)
    after = answers(proto, data.split("val"))
    assert raised == 0 and np.abs(after - before).mean() < 0.01 * before.std()
    assert (after.argmax(1) == before.argmax(1)).mean() > 0.98
    assert np.abs(before - tiny.logits(network, data)).max() > 1e-3  # it does round
    assert after.shape == answers(proto, data.split("test")).shape == (64, 3)  # any batch size
    assert session(proto).run(["logits"], {"features": data.split("val").inputs["features"][:1]})[0].shape == (1, 3)


def test_ranges_stand_still_from_the_step_asked_for() -> None:
    assert [qat.freeze_at(100, share) for share in (0, 0.25, 1)] == [100, 75, 0]
    data = tiny.numbers()
    module = simulated(tiny.trained("numbers"), data)
    module.freeze_at = 2
    module.train()
    seen = []
    for k in range(4):
        module(torch.linspace(-10, 10, 48).reshape(8, 6) * (k + 1))
        seen.append(float(fake_quant.activations(module)[0].scale))
    assert seen[0] < seen[1] == seen[2] == seen[3]
    module.eval()(torch.full((8, 6), 1e4))
    assert float(fake_quant.activations(module)[0].scale) == seen[1]


def small_graph(scale: list[float], bias: list[float]) -> onnx.ModelProto:
    """features (n, 2) -> QuantizeLinear, DequantizeLinear, Gemm with INT8 weights -> logits (n, 2)."""
    tensors = {"s": np.float32(0.1), "z": np.uint8(128), "w8": np.array([[50, 7], [100, -3]], np.int8)}
    tensors |= {"wz": np.zeros(2, np.int8), "ws": np.array(scale, np.float32), "bias": np.array(bias, np.float32)}
    make = onnx.helper.make_node
    nodes = [
        make("QuantizeLinear", ["features", "s", "z"], ["q"]),
        make("DequantizeLinear", ["q", "s", "z"], ["x"]),
        make("DequantizeLinear", ["w8", "ws", "wz"], ["w"], axis=0),
        make("Gemm", ["x", "w", "bias"], ["logits"], name="gemm", transB=1),
    ]
    kind = onnx.TensorProto.FLOAT
    given, gives = (onnx.helper.make_tensor_value_info(n, kind, ["n", 2]) for n in ("features", "logits"))
    constants = [numpy_helper.from_array(np.asarray(v), k) for k, v in tensors.items()]
    graph = onnx.helper.make_graph(nodes, "g", [given], [gives], constants)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize(("scale", "raised"), [([0.01, 0.02], 0), ([1e-12, 0.02], 1)])
def test_a_bias_fits_its_integer_even_in_a_dead_channel(scale: list[float], raised: int) -> None:
    proto = small_graph(scale, [3.0, -1.0])
    x = np.array([[0.5, -2.0], [1.0, 3.0], [0.0, 0.0]], np.float32)
    before = session(copy.deepcopy(proto)).run(["logits"], {"features": x})[0]
    assert qdq.integer_biases(proto) == raised
    onnx.checker.check_model(proto, full_check=True)
    np.testing.assert_allclose(session(proto).run(["logits"], {"features": x})[0], before, atol=1e-3)
    assert qdq.computed_as(proto) == {"QGemm": 1}
    assert any(v.dtype == np.int32 and abs(int(v[0])) <= 2**30 for v in constants(proto).values() if v.shape == (2,))


def test_wrong_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    data, network = tiny.numbers(), tiny.trained("numbers")
    with pytest.raises(TechniqueError, match=r"no layer 'body\.2'|'body\.2' matches no layer.*did you mean"):
        made(network, data, exclude=["body.2"])
    with pytest.raises(TechniqueError, match=r"no layer can be quantized: .*excluded by '\*'"):
        made(network, data, exclude=["*"])
    with pytest.raises(TechniqueError, match=r"training diverged.*smaller lr"):
        made(network, data, lr=10, weight_decay=1, warmup=0, epochs=20)
    monkeypatch.setitem(sys.modules, "torchao", None)
    with pytest.raises(TechniqueError, match=r"stillroom\[qat\]"):
        made(network, data)


def test_a_network_that_cannot_be_traced_is_refused_in_one_line() -> None:
    class Branching(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :3] if x.sum() > 0 else -x[:, :3]

    with pytest.raises(TechniqueError, match=r"torch\.export cannot trace 'branching'"):
        traced(Network(Branching(), {"arch": "branching"}), tiny.numbers())
