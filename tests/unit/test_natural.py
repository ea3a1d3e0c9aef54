"""Names as a person counts them, and where that order is seen."""

from __future__ import annotations

import json
import random
from pathlib import Path

from tasks.core.artifact import read_json, write_json
from tasks.core.natural import natural
from tasks.core.results import Evaluation
from tasks.evidence.verdict import class_changes
from tests.unit import fake_evidence


def test_numbers_count_and_words_are_spelt() -> None:
    told = ["-2", "-1", "0", "2", "10", "a", "a2", "a10", "a10b1", "b", "cat 9", "cat 10"]
    for seed in range(20):
        assert sorted(random.Random(seed).sample(told, len(told)), key=natural) == told


def test_a_report_read_back_has_its_classes_in_that_order(tmp_path: Path) -> None:
    classes = [str(k) for k in range(12)]
    quality = fake_evidence.quality(0.9, 60, dict.fromkeys(classes, 0.9))
    lost = fake_evidence.harm(
        dict.fromkeys(classes, 0.01), group_drop=dict.fromkeys(("20 to 99", "9 to 19"), fake_evidence.near(1.0))
    )
    report = Evaluation(
        variant="v", model_sha256="0" * 64, size_bytes=1, parameters=1, macs=1, val=quality, test=quality, harm=lost,
        val_harm=lost, marks=fake_evidence.marks(0.9, 60),
    )  # fmt: skip
    write_json(tmp_path / "v.json", report)
    spelt = list(json.loads((tmp_path / "v.json").read_text())["harm"]["recall_drop"])
    assert spelt == sorted(classes) != classes, "the file is sorted by spelling, equal bytes for equal reports"
    found = read_json(tmp_path / "v.json", Evaluation)
    assert list(found.harm.recall_drop) == list(found.test.per_class_recall) == classes
    assert list(found.harm.group_drop) == ["9 to 19", "20 to 99"]
    assert [change.name for change in class_changes(found, found)] == classes, "all changed alike"
