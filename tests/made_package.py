"""A small package made by hand, for the tests of serving: two linear models over 8 x 8 grey pictures."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LABELS = ["zero", "one", "two"]
WEIGHTS = {
    "control": np.random.default_rng(1).normal(size=(64, 3)).astype(np.float32) / 255,
    "treatment": np.random.default_rng(2).normal(size=(64, 3)).astype(np.float32) / 255,
}
ROLLOUT = {
    "treatment_share": 0.5,
    "salt": "test",
    "threads": 1,
    "workers": 1,
    "limits": {"rows": 4, "body_bytes": 20_000, "timeout_s": 10.0, "concurrency": 16},
    "scaling": {"min_replicas": 1},
}
IMAGE = {
    "kind": "image",
    "channels": 1,
    "height": 8,
    "width": 8,
    "mean": [],
    "std": [],
    "inputs": {"images": {"shape": [1, 8, 8], "dtype": "uint8"}},
}


def linear(weights: np.ndarray[Any, Any]) -> bytes:
    """An ONNX model: raw uint8 images (N, 1, 8, 8) -> logits (N, C) = pixels @ weights."""
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["float"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", 1, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", weights.shape[1]])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def seal(folder: Path) -> None:
    """Write the manifest over what is there."""
    files = {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file() and p.name != "manifest.json"
    }
    manifest = {"control": "baseline", "treatment": "student_int8", "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def make(folder: Path, **rollout: Any) -> Path:
    """A whole package in `folder`; `rollout` overrides keys of rollout.json."""
    folder.mkdir(parents=True, exist_ok=True)
    for role, weights in WEIGHTS.items():
        (folder / f"{role}.onnx").write_bytes(linear(weights))
    evidence = {
        role: {"variant": role, "size_bytes": 1234, "test": {"accuracy": 0.9, "agreement": 1.0}} for role in WEIGHTS
    }
    parts = {"labels": LABELS, "preprocess": IMAGE, "rollout": {**ROLLOUT, **rollout}, "evidence": evidence}
    for name, value in parts.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    seal(folder)
    return folder


def expected(role: str, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The probabilities that `role` must give, computed without ONNX Runtime."""
    logits = images.reshape(len(images), -1).astype(np.float64) @ WEIGHTS[role].astype(np.float64)
    powers = np.exp(logits - logits.max(1, keepdims=True))
    shares: np.ndarray[Any, Any] = powers / powers.sum(1, keepdims=True)
    return shares
