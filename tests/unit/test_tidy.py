"""What a row leaves behind goes with it; nothing else does."""

from pathlib import Path

import pytest

from flows.tidy import tidy
from tasks.plan import load


def test_only_what_belongs_to_no_row_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = load().plan
    monkeypatch.chdir(tmp_path)
    kept = [
        "artifacts/baseline/card.json",
        "reports/baseline.json",
        "artifacts/data/data.json",
        "artifacts/mine/notes.txt",
    ]
    lost = ["artifacts/removed/card.json", "artifacts/removed/model.onnx", "reports/removed.json", "reports/older.json"]
    for file in (*kept, *lost):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text("{}")
    assert tidy(plan) == ["older", "removed"]
    assert all(Path(file).exists() for file in kept)
    assert not any(Path(file).exists() for file in lost)
    assert tidy(plan) == []
