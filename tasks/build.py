"""The step `build`: apply one row's technique to its parent and write artifacts/<row>/.

A trainable result is exported to ONNX, and the two are checked to answer alike, before anything is written. Equal
seeds, parameters and parents give equal bytes, from any checkout.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
import torch

from tasks.core import artifact, checkpoint, distributed
from tasks.core.contract import Card, Data, Facts, Graph, Network, Outcome, Start
from tasks.core.dataset import read_data
from tasks.core.export import export, parity
from tasks.core.opset import check_runtime
from tasks.core.recipe import warnings_of
from tasks.core.seed import seed_for
from tasks.core.shape import build_like
from tasks.plan import plugin
from tasks.plan.schema import Plan, Settings, Variant


def run(settings: Settings, variant: str) -> None:
    """Build one row of the plan; its parent must have been built. Of the processes of `torchrun`, the first writes."""
    with distributed.group():
        build(settings, variant)


def build(settings: Settings, variant: str) -> None:
    """As `run`, in a group of processes or alone."""
    plan = settings.plan
    row = plan.variants[variant]
    seed_everything(seed_for(plan.seed, variant), plan.threads)
    technique = plugin("techniques", row.technique)
    data = read_data(artifact.DATA)
    parent = read_parent(plan, row, technique.TAKES, data)
    print(f"{variant}: {row.technique} on {row.parent}", flush=True)
    warnings = warnings_of(row.params)
    for text in warnings:
        print(f"  warning: {text}", flush=True)
    outcome: Outcome = technique.apply(parent, data, row.params)
    card = Card(
        variant=variant,
        parent=row.parent,
        technique=row.technique,
        form=technique.GIVES,
        params=row.params.model_dump(mode="json"),
        facts=with_warnings(outcome.facts, warnings),
    )
    if distributed.rank():
        return
    write(card, outcome.model, data, outcome.files)
    for name, fact in sorted(card.facts.items()):
        print(f"  {name}: {fact}")


def with_warnings(facts: Facts, more: tuple[str, ...]) -> Facts:
    """The facts, with `more` before the technique's own warnings, if there are any."""
    own = facts.get("warnings", [])
    assert isinstance(own, list), f"warnings is a list of texts, not {own!r}"
    return {**facts, "warnings": [*more, *own]} if more or own else facts


def seed_everything(seed: int, threads: int) -> None:
    """Seed every generator a technique may draw from, and fix the thread count: sums depend on it."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(threads)


def read_parent(plan: Plan, row: Variant, takes: Start, data: Data) -> Network | Graph | None:
    """What the row starts from, in the form that its technique takes; None when it starts from the data."""
    if takes == "data":
        return None
    if row.parent == "data":
        return build_like({"arch": plan.model.arch, **plan.model.params}, data)
    if takes == "onnx":
        return Graph(artifact.load_graph(row.parent))
    return checkpoint.load(artifact.variant_folder(row.parent), data)


def write(card: Card, model: Network | Graph, data: Data, files: Mapping[str, bytes] = MappingProxyType({})) -> None:
    """Write artifacts/<row>/ in one move: a run that is cut off leaves no half-written row behind."""
    folder = artifact.variant_folder(card.variant)
    fresh = folder.with_name(f".{card.variant}.part")
    for old in (fresh, folder):
        shutil.rmtree(old, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        proto = _proto(model, data)
        check_runtime(proto, card.technique)
        artifact.write_json(fresh / "card.json", card)
        (fresh / "model.onnx").write_bytes(serialized(proto))
        if isinstance(model, Network):
            checkpoint.save(model, data, fresh)
        for name, content in files.items():
            assert not (fresh / name).exists(), f"{name} is not the technique's to write"
            (fresh / name).write_bytes(content)
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _proto(model: Network | Graph, data: Data) -> Any:
    if isinstance(model, Graph):
        return model.proto
    proto = export(model, data)
    print(f"  ONNX and PyTorch differ by {parity(model, proto, data):.1e} of the logits' scale")
    return proto


def serialized(proto: onnx.ModelProto) -> bytes:
    """The model's bytes, after ONNX's own check that it is valid."""
    onnx.checker.check_model(proto, full_check=False)
    out: bytes = proto.SerializeToString(deterministic=True)
    return out
