"""Data that a network of a few hundred weights learns in a second, and networks trained on it, made once."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from tasks.core.contract import Data, Network, Split
from tasks.core.export import export, session
from tasks.core.preprocess import Preprocess
from tasks.core.shape import build_like
from tasks.techniques import train

CLASSES = ("left", "middle", "right")


def pictures(rows: int = 320, classes: int = 3) -> Data:
    """Noisy 8x8 pictures with a bright column that tells the class; uint8, 60/20/20 split."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, rows)
    images = rng.integers(0, 90, (rows, 1, 8, 8)).astype(np.uint8)
    images[np.arange(rows), 0, :, 1 + labels * 2] += 120
    about = Preprocess(kind="image", channels=1, height=8, width=8, mean=(60.0,), std=(50.0,))
    return _data("images", images, labels, CLASSES[:classes], about)


def numbers(rows: int = 320) -> Data:
    """Six float features, three classes by the greatest of the first three."""
    x = np.random.default_rng(1).normal(size=(rows, 6)).astype(np.float32)
    return _data("features", x, x[:, :3].argmax(1), CLASSES, Preprocess(kind="array"))


def _data(name: str, x: np.ndarray[Any, Any], y: np.ndarray[Any, Any], classes: Any, about: Preprocess) -> Data:
    a, b = int(len(y) * 0.6), int(len(y) * 0.8)

    def split(start: int, end: int) -> Split:
        return Split({name: x[start:end]}, y[start:end].astype(np.int64))

    return Data(split(0, a), classes, about, split(0, 50), split(a, b), split(b, len(y)))


CNN = {"arch": "small_cnn", "width": 8}
RESIDUAL = {"arch": "resnet", "depth": 14, "width": 4}
MLP = {"arch": "mlp", "hidden": [32, 16]}


@lru_cache
def _trained(kind: str) -> Network:
    torch.manual_seed(0)
    data, block = (numbers(), MLP) if kind == "numbers" else (pictures(), RESIDUAL if kind == "residual" else CNN)
    outcome = train.apply(build_like(block, data), data, train.Params(epochs=12, lr=0.05, batch=32))
    assert isinstance(outcome.model, Network)
    return outcome.model


@lru_cache
def _exported(kind: str) -> onnx.ModelProto:
    return export(_trained(kind), pictures() if kind == "pictures" else numbers())


def trained(kind: str = "pictures") -> Network:
    """A small_cnn (for `numbers` an mlp, for `residual` a resnet) that has learnt; a fresh copy."""
    return copy.deepcopy(_trained(kind))


def exported(kind: str = "pictures") -> onnx.ModelProto:
    """The same as ONNX; a fresh copy."""
    return copy.deepcopy(_exported(kind))


def inputs(data: Data, split: str = "val") -> tuple[torch.Tensor, ...]:
    """All inputs of a split, for calling a module."""
    return tuple(torch.from_numpy(np.asarray(x[:])) for x in data.split(split).inputs.values())


def logits(network: Network, data: Data) -> np.ndarray[Any, Any]:
    """(N, classes) of `val`."""
    with torch.no_grad():
        out: np.ndarray[Any, Any] = network.module.eval()(*inputs(data)).numpy()
    return out


def accuracy(logits_NC: np.ndarray[Any, Any], data: Data) -> float:
    """Share of `val` answered rightly."""
    return float((logits_NC.argmax(1) == data.split("val").labels).mean())


def spoilt(level: str) -> Callable[[onnx.ModelProto, str], onnxruntime.InferenceSession]:
    """`session`, but of an optimizer that goes wrong at this level: the largest weights come out a tenth too large."""

    def opened(proto: onnx.ModelProto, at: str) -> onnxruntime.InferenceSession:
        if at != level:
            return session(proto, at)
        out = onnx.ModelProto()
        out.CopyFrom(proto)
        weights = [t for t in out.graph.initializer if t.data_type == onnx.TensorProto.FLOAT]
        tensor = max(weights, key=lambda t: np.prod(t.dims))
        values = onnx.numpy_helper.to_array(tensor) * np.float32(1.1)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
        return session(out, at)

    return opened
