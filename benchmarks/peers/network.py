"""The network that every server of the comparison answers with: an MLP over 28 x 28 grey pictures, random weights."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

from tests import made_package

WIDTH = 512
LABELS = [f"class {i}" for i in range(10)]


def mlp(seed: int) -> bytes:
    """images (N, 1, 28, 28) uint8 -> logits (N, 10): 784, 512, 512, 10; 2.7 MB, so a call costs about 0.1 ms."""
    rng = np.random.default_rng(seed)
    widths = (784, WIDTH, WIDTH, 10)
    weights = [rng.normal(size=(a, b)).astype(np.float32) / a**0.5 for a, b in pairwise(widths)]
    weights[0] /= 255
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["float"], ["h0"]),
        helper.make_node("MatMul", ["h0", "w0"], ["a0"]),
        helper.make_node("Relu", ["a0"], ["h1"]),
        helper.make_node("MatMul", ["h1", "w1"], ["a1"]),
        helper.make_node("Relu", ["a1"], ["h2"]),
        helper.make_node("MatMul", ["h2", "w2"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", 1, 28, 28])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(one, f"w{i}") for i, one in enumerate(weights)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def package(folder: Path, **rollout: Any) -> Path:
    """A package with such a network in both roles, of equal cost and different weights."""
    limits = {"rows": 64, "body_bytes": 16_000_000, "timeout_s": 10.0, "concurrency": 64}
    made_package.make(folder, **{"limits": limits, "treatment_share": 0.0, "shadow": {"share": 0.0}, **rollout})
    for seed, role in enumerate(("control", "treatment")):
        (folder / f"{role}.onnx").write_bytes(mlp(seed))
    image = {**made_package.IMAGE, "height": 28, "width": 28}
    image["inputs"] = {"images": {"shape": [1, 28, 28], "dtype": "uint8"}}
    (folder / "preprocess.json").write_text(json.dumps(image))
    (folder / "labels.json").write_text(json.dumps(LABELS))
    made_package.seal(folder)
    return folder


def pictures(count: int) -> np.ndarray[Any, Any]:
    """(N, 1, 28, 28) uint8, as dark as clothes on black."""
    rng = np.random.default_rng(3)
    return (rng.integers(0, 256, (count, 1, 28, 28)) * (rng.random((count, 1, 28, 28)) < 0.5)).astype(np.uint8)
