"""Measures how well one variant answers, from its ONNX file alone: deterministic, and without torch.

`val` and `test` are measured apart: `choose` judges on `val`, the report and the gates look at `test`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core import artifact
from tasks.core.contract import Data, Split
from tasks.core.dataset import read_data
from tasks.core.errors import ArtifactError
from tasks.core.findings import Harm
from tasks.core.results import Evaluation, Quality
from tasks.evidence import harm, stats
from tasks.evidence.graph_cost import graph_cost
from tasks.evidence.marks import mark
from tasks.evidence.portability import judge
from tasks.evidence.session import open_session, predict, rows_a_call
from tasks.plan.schema import Settings

Array = np.ndarray[Any, Any]


def run(settings: Settings, variant: str) -> None:
    """Write reports/<variant>.json."""
    data = read_data(artifact.DATA)
    path = artifact.variant_folder(variant) / "model.onnx"
    reference = artifact.variant_folder(settings.plan.choose.reference) / "model.onnx"
    session = open_session(path, settings.plan.threads)
    against = session if path == reference else open_session(reference, settings.plan.threads)
    quality, hurt = {}, {}
    for name in ("val", "test"):
        split = data.split(name)
        logits = predict(session, split, rows_a_call(path))
        theirs = logits if against is session else predict(against, split, rows_a_call(reference))
        quality[name] = measure(logits, theirs, split, data, path)
        hurt[name] = compare(logits, theirs, split, data)
    marks = mark(logits.argmax(axis=1) == split.labels, split.labels)  # the last split is test
    rows = {key: tuple(values.shape[1:]) for key, values in data.train.inputs.items()}
    cost = graph_cost(path, rows)
    portability = judge(path, data.split("val"), cost.macs, one_by_one=rows_a_call(path) == 1)
    found = Evaluation(
        variant=variant,
        model_sha256=sha256_of(path),
        portability=portability,
        harm=hurt["test"],
        val_harm=hurt["val"],
        marks=marks,
        **cost._asdict(),
        **quality,
    )
    artifact.write_json(artifact.evaluation_file(variant), found)
    test = quality["test"]
    print(f"{variant}: accuracy {test.accuracy:.4f} on {test.rows} test rows, {cost.size_bytes / 1e6:.3f} MB")
    for sentence in harm.sentences(hurt["test"]) if path != reference else ():
        print(f"  {sentence}")
    if portability:
        print(f"  {portability.sentence}")


def measure(logits: Array, reference: Array, split: Split, data: Data, path: Path) -> Quality:
    """The quality of `logits` (N, C) on the rows of `split`; `reference` (N, C) is what the reference answered."""
    classes = len(data.classes)
    if logits.shape[1:] != (classes,):
        raise ArtifactError(f"{path}: gives {logits.shape[1:]} numbers a row; the data have {classes} classes")
    predicted, labels = logits.argmax(axis=1), split.labels
    right = predicted == labels
    recall = stats.recall_per_class(labels, predicted, classes)
    return Quality(
        rows=len(labels),
        accuracy=float(right.mean()),
        macro_f1=stats.macro_f1(labels, predicted, classes),
        per_class_recall={name: float(r) for name, r in zip(data.classes, recall, strict=True) if not np.isnan(r)},
        per_group_accuracy=group_accuracy(right, split.groups, data.group_names),
        agreement=float((predicted == reference.argmax(axis=1)).mean()),
        calibration_error=stats.expected_calibration_error(stats.softmax(logits), labels),
    )


def compare(logits: Array, reference: Array, split: Split, data: Data) -> Harm:
    """What answering `logits` (N, C) does to the rows of `split` where the reference answered `reference` (N, C)."""
    groups = {} if split.groups is None else {name: split.groups == i for i, name in enumerate(data.group_names)}
    mine, theirs = (stats.expected_calibration_error(stats.softmax(x), split.labels) for x in (logits, reference))
    answers, before = logits.argmax(axis=1), reference.argmax(axis=1)
    return harm.harm(answers, before, split.labels, data.classes, groups, mine - theirs, itself=logits is reference)


def group_accuracy(right: Array, groups: Array | None, names: Any) -> dict[str, float]:
    """Accuracy of each group that has rows; empty for data without groups."""
    if groups is None:
        return {}
    found = {name: right[groups == i] for i, name in enumerate(names)}
    return {name: float(hits.mean()) for name, hits in found.items() if len(hits)}


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
