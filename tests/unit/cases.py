"""For every technique, parameters that work and some that cannot, and a way to apply them to a tiny network."""

from __future__ import annotations

import copy
import hashlib
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import torch
from safetensors.torch import save_file

from tasks.core.contract import Data, Graph, Network, Outcome
from tasks.core.shape import body_of
from tests.unit import tiny


class Case(NamedTuple):
    """Parameters that work, and some that cannot, with a part of the message."""

    params: dict[str, Any]
    wrong: dict[str, Any]
    says: str


FIT = {"epochs": 1, "lr": 0.05, "batch": 32}
CASES = {
    "act": Case({**FIT, "ponder_cost": 2, "epsilon": 0.95}, {**FIT, "min_units": 3}, "no stage of 3 residual units"),
    "train": Case(FIT, {**FIT, "augment": ["flip"]}, "for pictures"),
    "load_onnx": Case({"path": "given.onnx"}, {"path": "given.onnx", "output": "nowhere"}, "no output 'nowhere'"),
    "load": Case({"path": "weights.safetensors"}, {"path": "nowhere.pt"}, "no such file"),
    "distill": Case(
        {**FIT, "student": {"arch": "small_cnn", "width": 4}},
        {**FIT, "student": tiny.CNN, "hidden": {"student": "0", "teacher": "nowhere"}},
        "no layer 'nowhere'",
    ),
    "binarize": Case({"recover": FIT}, {"exclude": ["nowhere"]}, "no layer 'nowhere'"),
    "cluster": Case({"clusters": 16, "recover": FIT}, {"clusters": 4096}, "no tensor has more than"),
    "early_exit": Case({**FIT, "accuracy_budget": 0.9}, {**FIT, "exits": ["nowhere"]}, "no layer 'nowhere'"),
    "ensemble": Case({**FIT, "members": 2}, {**FIT, "members": 1}, "found 1 members"),
    "factorize": Case(
        {"ratio": 0.5, "round_to": 1, "recover": FIT}, {"ratio": 0.99, "round_to": 1}, "saves no parameters in any"
    ),
    "lottery": Case({**FIT, "sparsity": 0.8, "rounds": 2}, {**FIT, "sparsity": 0.8, "exclude": ["x"]}, "no layer 'x'"),
    "ode_blocks": Case(FIT, {**FIT, "exclude": ["nowhere"]}, "'nowhere' fits no unit"),
    "prune": Case({"ratio": 0.5, "round_to": 4, "recover": FIT}, {"ratio": 0.1, "round_to": 8}, "removes no channel"),
    "qat": Case({**FIT, "lr": 0.002}, {**FIT, "exclude": ["nowhere"]}, "matches no layer"),
    "quantize": Case({}, {"scheme": "dynamic"}, "with constant weights"),
    "scale": Case({**FIT, "ratio": 0.5}, {**FIT, "at_most": 10}, "no small_cnn fits macs 10"),
    "slim": Case(
        {**FIT, "widths": [0.5, 1.0], "kernels": [1]}, {**FIT, "widths": [1.0], "depths": [0.5, 1.0]}, "can be skipped"
    ),
    "subnet": Case({"macs_ratio": 0.5, "trials": 6}, {"size_kb": 0.1}, "the smallest sub-network has"),
    "sparsify": Case({"sparsity": 0.8, "recover": FIT}, {"exclude": ["nowhere"]}, "no layer 'nowhere'"),
}


def write_files() -> None:
    """What some of the cases read, in the working folder."""
    torch.manual_seed(9)
    other = body_of(tiny.trained().module)
    save_file(
        {k: v + 0.01 if v.is_floating_point() else v for k, v in other.state_dict().items()}, "weights.safetensors"
    )
    onnx.save(tiny.exported(), "given.onnx")


@lru_cache
def slimmed() -> Network:
    """What `subnet` starts from."""
    model = applied("slim").model
    assert isinstance(model, Network)
    return model


def parent_of(name: str) -> Network | Graph | None:
    """What the technique takes; a fresh copy."""
    if name == "subnet":
        return copy.deepcopy(slimmed())
    if name in ("act", "ode_blocks"):  # need residual units
        return tiny.trained("residual")
    takes = import_module(f"tasks.techniques.{name}").TAKES
    return {"torch": tiny.trained, "onnx": lambda: Graph(tiny.exported()), "data": lambda: None}[takes]()


def pinned(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters, with the digest of the checkpoint that they name."""
    path = Path(params.get("path", ""))
    return {**params, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} if path.is_file() else params


def applied(name: str, parent: Network | Graph | None = None, data: Data | None = None, **params: Any) -> Outcome:
    """The outcome of a technique on a parent and data, or on the tiny ones, with its case's parameters or others."""
    technique = import_module(f"tasks.techniques.{name}")
    parent = parent or parent_of(name)
    torch.manual_seed(5)  # after the parent, which may be trained just now
    settings = technique.Params(**pinned(params or CASES[name].params))
    return technique.apply(parent, data or tiny.pictures(), settings)
