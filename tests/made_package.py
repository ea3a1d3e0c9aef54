"""A small package made by hand, for the tests of serving: two linear models over 8 x 8 grey pictures."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tasks.deploy.requirements import requirements

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
    "control": {"url": ""},
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


VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "good": 2, "bad": 3, "film": 4, "a": 5}
LENGTH = 6
TEXT = {
    "kind": "text",
    "channels": 0,
    "height": 0,
    "width": 0,
    "mean": [],
    "std": [],
    "length": LENGTH,
    "vocab": len(VOCABULARY),
    "inputs": {name: {"shape": [LENGTH], "dtype": "int64"} for name in ("input_ids", "attention_mask")},
}
WORD_WEIGHTS = {
    role: np.random.default_rng(seed).normal(size=(len(VOCABULARY), 3)).astype(np.float32)
    for role, seed in (("control", 3), ("treatment", 4))
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


def bag_of_words(weights: np.ndarray[Any, Any]) -> bytes:
    """An ONNX model: input_ids, attention_mask (N, LENGTH) int64 -> logits (N, C), the sum of the words' weights."""
    nodes = [
        helper.make_node("Gather", ["weights", "input_ids"], ["words"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["mask3"]),
        helper.make_node("Mul", ["words", "mask3"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "middle"], ["logits"], keepdims=0),
    ]
    names = ("input_ids", "attention_mask")
    constants = {"weights": weights, "last": np.array([2]), "middle": np.array([1])}
    graph = helper.make_graph(
        nodes,
        "bag",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["N", LENGTH]) for name in names],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", weights.shape[1]])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def tokenizer(*, padded: bool = True) -> str:
    """A tokenizer.json of whole words; `padded`: with the padding and the cut of training in it."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    if padded:
        made.enable_truncation(LENGTH)
        made.enable_padding(length=LENGTH, pad_id=0, pad_token="[PAD]")
    return made.to_str()


def make_text(folder: Path, **rollout: Any) -> Path:
    """As `make`, for text: two bags of words."""
    make(folder, **rollout)
    for role, weights in WORD_WEIGHTS.items():
        (folder / f"{role}.onnx").write_bytes(bag_of_words(weights))
    (folder / "preprocess.json").write_text(json.dumps(TEXT))
    (folder / "tokenizer.json").write_text(tokenizer())
    (folder / "requirements.txt").write_text(requirements("text"))
    seal(folder)
    return folder


def expected_of_texts(role: str, texts: list[str]) -> np.ndarray[Any, Any]:
    """The probabilities that `role` must give to texts of words between blanks, without ONNX Runtime or tokenizers."""
    ids = [[VOCABULARY.get(word, 1) for word in text.split()][:LENGTH] for text in texts]
    logits = np.stack([WORD_WEIGHTS[role][one].astype(np.float64).sum(0) for one in ids])
    powers = np.exp(logits - logits.max(1, keepdims=True))
    shares: np.ndarray[Any, Any] = powers / powers.sum(1, keepdims=True)
    return shares


def seal(folder: Path, treatment: str = "student_int8") -> None:
    """Write the manifest over what is there."""
    files = {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file() and p.name != "manifest.json"
    }
    manifest = {"control": "baseline", "treatment": treatment, "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def other_weights(seed: int) -> dict[str, np.ndarray[Any, Any]]:
    """The weights of the package `make(..., seed=seed)`: other models in both roles."""
    return {
        role: np.random.default_rng([seed, i]).normal(size=(64, 3)).astype(np.float32) / 255
        for i, role in enumerate(WEIGHTS)
    }


def make(folder: Path, *, seed: int | None = None, **rollout: Any) -> Path:
    """A whole package in `folder`; `rollout` overrides keys of rollout.json, `seed` gives it other models."""
    folder.mkdir(parents=True, exist_ok=True)
    for role, weights in (WEIGHTS if seed is None else other_weights(seed)).items():
        (folder / f"{role}.onnx").write_bytes(linear(weights))
    evidence = {
        role: {"variant": role, "size_bytes": 1234, "test": {"accuracy": 0.9, "agreement": 1.0}} for role in WEIGHTS
    }
    parts = {"labels": LABELS, "preprocess": IMAGE, "rollout": {**ROLLOUT, **rollout}, "evidence": evidence}
    for name, value in parts.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    (folder / "requirements.txt").write_text(requirements("image"))
    seal(folder, "student_int8" if seed is None else f"student_{seed}")
    return folder


def expected(role: str, images: np.ndarray[Any, Any], *, seed: int | None = None) -> np.ndarray[Any, Any]:
    """The probabilities that `role` must give, computed without ONNX Runtime."""
    weights = WEIGHTS[role] if seed is None else other_weights(seed)[role]
    logits = images.reshape(len(images), -1).astype(np.float64) @ weights.astype(np.float64)
    powers = np.exp(logits - logits.max(1, keepdims=True))
    shares: np.ndarray[Any, Any] = powers / powers.sum(1, keepdims=True)
    return shares
