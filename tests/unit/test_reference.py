"""reference.json: what val looks like, and that the service sees the very same in live rows."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from serving import reference as live
from tasks.core.contract import Data, Split
from tasks.core.errors import ArtifactError
from tasks.core.preprocess import Preprocess
from tasks.core.results import Quality
from tasks.evidence import reference as before

Array = np.ndarray[Any, Any]
DRAW = np.random.default_rng(5)
NUMBERS = {
    "pictures": DRAW.integers(0, 256, (70, 3, 20, 20), dtype=np.uint8),
    "sounds": DRAW.integers(-32768, 32768, (70, 4001)).astype(np.int16),
    "floats": DRAW.normal(size=(70, 13)).astype(np.float32),
    "one number": DRAW.normal(size=(70, 1)).astype(np.float32),
}


def agreed(rows: int, agreement: float) -> Quality:
    return Quality(rows=rows, accuracy=1, macro_f1=1, per_class_recall={}, agreement=agreement, calibration_error=0)


def made(inputs: dict[str, Array], kind: Any, files: dict[str, bytes] | None = None) -> dict[str, Any]:
    n = len(next(iter(inputs.values())))
    split = Split(inputs, np.zeros(n, np.int64))
    data = Data(split, ("a", "b"), Preprocess(kind=kind), val=split, files=files or {})
    logits = np.stack([np.arange(n) % 3, np.ones(n)], axis=1).astype(np.float32)
    answered = {"control": logits, "treatment": logits[:, ::-1]}
    return before.reference(data, before.rows_of(data), answered, agreed(1000, 0.99))


@pytest.mark.parametrize("name", NUMBERS)
def test_live_rows_are_seen_as_the_reference_saw_them(name: str) -> None:
    rows = NUMBERS[name]
    read = live.Reference.model_validate(json.loads(json.dumps(made({"x": rows}, "array"))))
    together = live.counted(read, {"x": rows})
    one_by_one = [live.counted(read, {"x": rows[i : i + 1]}) for i in range(len(rows))]
    assert set(together) == {"mean", "spread", "extremes"}
    for feature, bins in read.features.items():
        assert tuple(together[feature]) == bins.counts
        assert tuple(sum(one[feature] for one in one_by_one)) == bins.counts, "whatever the rows beside it"


def test_live_texts_are_seen_as_the_reference_saw_them() -> None:
    ids = DRAW.integers(1, 9, (50, 7))
    mask = (np.arange(7) < DRAW.integers(1, 8, 50)[:, None]).astype(np.int64)
    tokenizer = json.dumps({"model": {"unk_token": "[UNK]", "vocab": {"[UNK]": 3}}}).encode()
    inputs = {"input_ids": ids, "attention_mask": mask}
    read = live.Reference.model_validate(made(inputs, "text", {"tokenizer.json": tokenizer}))
    assert read.unknown == 3 and set(read.features) == {"tokens", "unknown"}
    assert {k: tuple(v) for k, v in live.counted(read, inputs).items()} == {
        k: b.counts for k, b in read.features.items()
    }
    unknown = [
        sum(i == 3 for i, m in zip(row, on, strict=True) if m) / sum(on) for row, on in zip(ids, mask, strict=True)
    ]
    assert np.allclose(live.of_texts(ids, mask, 3)["unknown"], unknown)
    assert list(live.of_texts(ids, mask, 3)["tokens"]) == [sum(on) for on in mask]


def test_the_features_are_what_they_are_called() -> None:
    rows = NUMBERS["floats"]
    low, high = float(rows.min()), float(rows.max())
    found = live.of_numbers(rows, (low, high))
    assert np.allclose(found["mean"], rows.astype(np.float64).mean(1), atol=1e-5)
    assert np.allclose(found["spread"], rows.astype(np.float64).std(1), atol=1e-4)
    assert np.allclose(found["extremes"], ((rows == low) | (rows == high)).mean(1))
    beyond = live.of_numbers(np.full((1, 13), 99, np.float32), (low, high))
    assert beyond["extremes"] == 1.0


@pytest.mark.parametrize("values", [1, 64, 512, 513, 784, 3 * 32 * 32, 3 * 224 * 224, 16000])
def test_at_most_so_many_values_of_a_row_are_read_and_from_every_column(values: int) -> None:
    step = live.stride(values)
    assert 1 <= len(range(0, values, step)) <= live.VALUES
    width = int(values**0.5)
    if width**2 == values and values > live.VALUES:
        assert len({place % width for place in range(0, values, step)}) == width


def test_bins_are_deciles_and_a_constant_keeps_what_lies_below_it_apart() -> None:
    even = before.bins(np.arange(1000))
    assert even["counts"] == [100] * 10
    constant = live.Bins.model_validate(before.bins(np.full(40, 0.25)))
    assert constant.counts == (0, 40, 0)
    assert list(constant.count(np.array([0.2, 0.25, 0.25, 0.3]))) == [1, 2, 1]


@pytest.mark.parametrize(("rows", "agreement"), [(1000, 0.99), (50, 1.0), (300, 0.5), (10, 0.0)])
def test_the_upper_bound_of_the_disagreement_is_exact(rows: int, agreement: float) -> None:
    found = before.expected(agreed(rows, agreement))
    assert found["count"] == round(rows * (1 - agreement))
    if found["high"] < 1:
        assert binom.cdf(found["count"], rows, found["high"]) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({"model": {"unk_id": 2, "vocab": [["<unk>", 0.0]]}}, 2),
        ({"model": {"unk_token": "[UNK]", "vocab": {"[UNK]": 100}}}, 100),
        ({"model": {"unk_token": "<unk>", "vocab": {}}, "added_tokens": [{"id": 7, "content": "<unk>"}]}, 7),
        ({"model": {"unk_token": None, "vocab": {"a": 1}}}, None),
    ],
)
def test_the_token_for_the_unknown_is_found_in_every_kind_of_tokenizer(about: Any, expected: int | None) -> None:
    assert before.unknown_id(json.dumps(about).encode()) == expected


def test_predictions_and_confidence_are_those_of_both_models() -> None:
    read = live.Reference.model_validate(made({"x": NUMBERS["floats"]}, "array"))
    assert read.predicted["control"] == {"a": 46, "b": 24} and read.predicted["treatment"] == {"a": 47, "b": 23}
    assert sum(read.confidence["treatment"]) == 70 and read.confidence["control"] == read.confidence["treatment"]
    assert read.disagreement.value == 0.01


def test_rows_of_several_arrays_are_refused() -> None:
    with pytest.raises(ArtifactError, match="inputs x, y; the service feeds exactly one"):
        made({"x": NUMBERS["floats"], "y": NUMBERS["floats"]}, "array")


def test_requests_are_only_kept_and_counted_later_and_no_more_than_so_many() -> None:
    rows = NUMBERS["floats"]
    read = live.Reference.model_validate(made({"x": rows}, "array"))
    seen = live.Seen(read)
    assert seen.drain() == {}
    for _ in range(20):
        seen.add({"x": rows})
    kept = int(seen.drain()["mean"].sum())
    assert live.WAITING_ROWS <= kept < live.WAITING_ROWS + len(rows)
    assert seen.drain() == {}
    seen.add({"x": rows[:3]})
    assert int(seen.drain()["mean"].sum()) == 3
    nothing = live.Seen(None)
    nothing.add({"x": rows})
    assert nothing.drain() == {}
