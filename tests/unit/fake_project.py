"""A whole Stillroom project without any training: tiny hand-made ONNX networks, random data, a plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tasks.core import artifact
from tasks.core.contract import Card, Data, Params, Split
from tasks.core.dataset import write_data
from tasks.core.preprocess import Preprocess
from tasks.intake.validation import Rule, Validation
from tasks.plan.schema import (
    BenchBlock,
    ChooseBlock,
    DataBlock,
    Expectations,
    ModelBlock,
    Plan,
    Promotion,
    Rollout,
    Schedule,
    Settings,
    Variant,
)

CLASSES = ("cat", "dog", "eel")
ROW = (1, 4, 4)
HIDDEN = {"baseline": 32, "student": 8, "student_int8": 4}
PARENTS = {"baseline": "data", "student": "baseline", "student_int8": "student"}


def network(hidden: int, seed: int = 0) -> onnx.ModelProto:
    """uint8 (N, 1, 4, 4) -> normalise -> Gemm -> Relu -> Gemm -> logits (N, 3)."""
    draw = np.random.default_rng(seed)
    wide = int(np.prod(ROW))
    arrays = {
        "mean": np.full((1, 1, 1, 1), 127.5, np.float32),
        "w1": draw.normal(size=(wide, hidden)).astype(np.float32),
        "b1": np.zeros(hidden, np.float32),
        "w2": draw.normal(size=(hidden, len(CLASSES))).astype(np.float32),
        "b2": np.zeros(len(CLASSES), np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["f", "mean"], ["n"]),
        helper.make_node("Flatten", ["n"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w1", "b1"], ["h"]),
        helper.make_node("Relu", ["h"], ["a"]),
        helper.make_node("Gemm", ["a", "w2", "b2"], ["logits"]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", *ROW])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(CLASSES)])
    constants = [numpy_helper.from_array(value, name) for name, value in arrays.items()]
    return model_of(nodes, [images], [logits], constants)


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    constants: Sequence[onnx.TensorProto],
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "g", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def split(rows: int, seed: int) -> Split:
    draw = np.random.default_rng(seed)
    images = draw.integers(0, 256, (rows, *ROW), dtype=np.uint8)
    return Split({"images": images}, np.arange(rows) % len(CLASSES), np.arange(rows) % 2)


def settings(**choose: object) -> Settings:
    rows = {
        name: Variant(name=name, parent=parent, technique="train" if parent == "data" else "distill", params=Params())
        for name, parent in PARENTS.items()
    }
    plan = Plan(
        seed=3,
        threads=1,
        data=DataBlock(source="digits"),
        model=ModelBlock(arch="mlp"),
        variants=rows,
        bench=BenchBlock(threads=(1,), batch=(1, 4), rounds=5, round_ms=0.1, budget_s=5, precision=0.9),
        choose=ChooseBlock.model_validate({"reference": "baseline", **choose}),
    )
    rest = {"expectations": Expectations(), "rollout": Rollout(), "promotion": Promotion()}
    return Settings(plan=plan, schedule=Schedule(cron="0 2 * * *"), **rest)


def make_project() -> None:
    """Write artifacts/ of the fake project into the current folder."""
    splits = {name: split(60 if name == "test" else 30, seed) for seed, name in enumerate(("val", "test"))}
    data = Data(
        train=split(6, 8),
        calibration=split(6, 9),
        classes=CLASSES,
        preprocess=Preprocess(kind="image", channels=1, height=4, width=4),
        group_names=("young", "old"),
        **splits,
    )
    write_data(artifact.DATA, data)
    rule = Rule(rule="train has rows", observed="6", allowed="at least 1", ok=True, expectation="count")
    validation = Validation(rows={"train": 6, "val": 30, "test": 60}, rules=(rule,))
    artifact.write_json(artifact.DATA / "validation.json", validation)
    for name, parent in PARENTS.items():
        folder = artifact.variant_folder(name)
        folder.mkdir(parents=True)
        onnx.save(network(HIDDEN[name]), str(folder / "model.onnx"))
        technique = "train" if parent == "data" else "distill"
        facts = {"epochs": 3, "left_alone": ["<script>alert(1)</script>"]}
        card = Card(variant=name, parent=parent, technique=technique, form="onnx", params={"lr": 0.1}, facts=facts)
        artifact.write_json(folder / "card.json", card)


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
