"""`prepare` with the real Great Expectations: good data are written, every planted fault is named and nothing is."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tasks import prepare
from tasks.core.arrays import pick
from tasks.core.artifact import DATA, read_json
from tasks.core.contract import Data, Params, Split
from tasks.core.dataset import read_data
from tasks.core.errors import DataError
from tasks.core.preprocess import Preprocess
from tasks.intake.validation import Validation
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

pytestmark = pytest.mark.integration
RULES = Expectations(
    min_rows={"train": 60, "calibration": 10, "val": 20, "test": 20},
    shape=(6,),
    value_min=-10,
    value_max=10,
    class_share_min=0.2,
    class_share_max=0.5,
    duplicate_share_max=0.05,
)


def settings(rules: Expectations = RULES, **data: object) -> Settings:
    block = {"source": "planted", "val_share": 0.25, "test_share": 0.25, "calibration_rows": 12, **data}
    row = Variant(name="baseline", parent="data", technique="train", params=Params())
    plan = Plan(
        seed=7,
        threads=1,
        bench=BenchBlock(),
        data=DataBlock(**block),  # type: ignore[arg-type]
        model=ModelBlock(arch="mlp"),
        variants={"baseline": row},
        choose=ChooseBlock(reference="baseline"),
    )
    schedule = Schedule(cron="0 2 * * *")
    return Settings(plan=plan, expectations=rules, rollout=Rollout(), promotion=Promotion(), schedule=schedule)


def good() -> Data:
    """Three classes in three splits, no row twice; values within -5..5."""
    rows = np.random.default_rng(0).uniform(-5, 5, (150, 6)).astype(np.float32)
    whole = Split({"features": rows}, np.arange(150) % 3)
    train, val, test = (
        Split({"features": rows[a:b].copy()}, whole.labels[a:b]) for a, b in ((0, 90), (90, 120), (120, 150))
    )
    return Data(train, ("cat", "dog", "eel"), Preprocess(kind="array"), val=val, test=test)


def values(data: Data, split: str) -> np.ndarray:
    found = data.split(split).inputs["features"]
    assert isinstance(found, np.ndarray)
    return found


def run(data: Data, monkeypatch: pytest.MonkeyPatch, wanted: Settings) -> None:
    monkeypatch.setattr(prepare, "plugin", lambda kind, name: SimpleNamespace(load=lambda: data))
    prepare.run(wanted)


@pytest.fixture(autouse=True)
def in_an_empty_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_good_data_are_written_with_the_verdict(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(good(), monkeypatch, settings())
    back = read_data(DATA)
    assert np.array_equal(back.val.inputs["features"][:], values(good(), "val")) if back.val else False
    assert back.calibration is not None and len(back.calibration) == 12
    result = read_json(DATA / "validation.json", Validation)
    assert result.rows == {"train": 90, "calibration": 12, "val": 30, "test": 30} and not result.broken
    assert {r.expectation for r in result.rules} == {
        "ExpectTableRowCountToBeBetween",
        "ExpectColumnDistinctValuesToEqualSet",
        "ExpectColumnMeanToBeBetween",
        "ExpectColumnSumToBeBetween",
        "ExpectColumnValuesToBeBetween",
        "ExpectColumnValuesToBeInSet",
    }
    page = (DATA / "validation.html").read_text()
    assert f"All {len(result.rules)} rules hold" in page and "prefers-color-scheme" in page
    assert "http" not in page and "<script" not in page
    captured = capfd.readouterr()
    assert captured.err == "" and captured.out.splitlines() == [
        "reading planted",
        "rows: train 90, calibration 12, val 30, test 30",
        f"All {len(result.rules)} rules hold",
    ]
    assert sorted(p.name for p in Path().iterdir()) == ["artifacts"]
    assert [p.name for p in Path("artifacts").iterdir()] == ["data"]


def test_digits_are_carved_and_the_same_bytes_come_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = Expectations(min_rows={"val": 200}, shape=(1, 8, 8), value_min=0, value_max=255, duplicate_share_max=0.0)
    kept: list[dict[Path, bytes]] = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        prepare.run(settings(rules, source="digits", val_share=0.2, calibration_rows=64))
        kept.append({p: p.read_bytes() for p in sorted(DATA.rglob("*")) if p.is_file()})
    assert kept[0] == kept[1]
    data = read_data(DATA)
    assert [len(data.split(s)) for s in ("train", "val", "test", "calibration")] == [1078, 270, 449, 64]
    rows = data.train.inputs["images"][:]
    assert data.preprocess.mean == pytest.approx((rows.mean(),)) and data.preprocess.std == pytest.approx((rows.std(),))
    seen = {row.tobytes() for row in rows}
    assert all(row.tobytes() in seen for row in data.split("calibration").inputs["images"][:])
    assert not any(row.tobytes() in seen for s in ("val", "test") for row in data.split(s).inputs["images"][:])


def not_a_number(data: Data) -> Data:
    values(data, "train")[5, 2] = np.nan
    values(data, "test")[7] = -np.inf
    return data


def out_of_range(data: Data) -> Data:
    values(data, "val")[3, 0], values(data, "val")[9, 0], values(data, "train")[1, 1] = 11, 12, -99
    return data


def repeated(data: Data) -> Data:
    values(data, "train")[10:20] = values(data, "train")[9]
    return data


def leaked(data: Data) -> Data:
    values(data, "test")[4:6] = values(data, "train")[30:32]
    values(data, "val")[0] = values(data, "train")[8]
    values(data, "test")[9] = values(data, "val")[2]
    return data


def without_a_class(data: Data) -> Data:
    return replace(data, val=pick(data.split("val"), np.flatnonzero(data.split("val").labels != 1)))


def lopsided(data: Data) -> Data:
    keep = np.flatnonzero((data.train.labels != 2) | (np.arange(90) < 30))
    return replace(data, train=pick(data.train, keep))


def too_few(data: Data) -> Data:
    return replace(data, test=pick(data.split("test"), np.arange(15)))


def too_wide(data: Data) -> Data:
    def wide(split: Split) -> Split:
        return Split({"features": np.hstack([split.inputs["features"][:]] * 2)}, split.labels)

    return replace(data, train=wide(data.train), val=wide(data.split("val")), test=wide(data.split("test")))


FAULTS: dict[str, tuple[Callable[[Data], Data], list[str]]] = {
    "NaN": (
        not_a_number,
        ["no row holds a NaN or an infinity: found 2 rows: train 5, test 7; allowed: none"],
    ),
    "range": (
        out_of_range,
        [
            "no value lies below the range: found -99 (1 row: train 1); allowed: -10 or more",
            "no value lies above the range: found 12 (2 rows: val 3, val 9); allowed: 10 or less",
        ],
    ),
    "duplicates": (
        repeated,
        [
            "few rows of train repeat an earlier row of it: found 11.1 % (10 rows: train 10, train 11, train 12, ...); "
            "allowed: 5 % or less"
        ],
    ),
    "overlap": (
        leaked,
        ["train, val and test share no row: found 4 rows: val 0, test 4, test 5, ...; allowed: none"],
    ),
    "class": (without_a_class, ["every class occurs in val: found 2 (missing: dog); allowed: all of 3"]),
    "balance": (
        lopsided,
        ["the classes found in train are balanced: found 14.3 % (eel) to 42.9 % (dog); allowed: 20 % to 50 % each"],
    ),
    "rows": (too_few, ["test has enough rows: found 15; allowed: 20 or more"]),
    "shape": (too_wide, ["every row has the right shape: found 12; allowed: 6"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named_and_nothing_is_written(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, expected = FAULTS[fault]
    # Calibration is drawn from train; here its rules are left out, so that each fault breaks its own rule alone.
    rows = {name: n for name, n in RULES.min_rows.items() if name != "calibration"}
    data = plant(good())
    calibration = pick(good().train, np.arange(12))
    with pytest.raises(DataError) as e:
        run(
            replace(data, calibration=calibration if fault != "shape" else data.train),
            monkeypatch,
            settings(RULES.model_copy(update={"min_rows": rows})),
        )
    head, *lines = str(e.value).splitlines()
    assert head.startswith(f"data: {len(expected)} of ") and head.endswith("nothing was written")
    assert [line.removeprefix("  - ") for line in lines] == expected
    assert list(Path().iterdir()) == []


def test_all_broken_rules_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"data: 5 of \d+ rules"):
        run(too_few(leaked(out_of_range(not_a_number(good())))), monkeypatch, settings())


def test_copies_in_the_source_do_not_end_up_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = repeated(good())
    run(
        replace(raw, val=None, test=None),
        monkeypatch,
        settings(
            RULES.model_copy(
                update={"min_rows": {}, "duplicate_share_max": 1.0, "class_share_min": 0.0, "class_share_max": 1.0}
            )
        ),
    )
    assert read_json(DATA / "validation.json", Validation).broken == ()


def test_fewer_calibration_rows_than_classes_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    run(good(), monkeypatch, settings(RULES.model_copy(update={"min_rows": {}}), calibration_rows=2))
    assert len(read_data(DATA).split("calibration")) == 2


UNSOUND: dict[str, tuple[Callable[[Data], Data], str]] = {
    "labels": (
        lambda d: replace(d, val=Split(d.split("val").inputs, np.arange(9) % 3)),
        r"source 'planted', val: 30 rows in 'features', 9 labels",
    ),
    "outside": (
        lambda d: replace(d, classes=("cat", "dog")),
        r"source 'planted', train: row 2: label 2 \(and 29 more rows\); allowed: 0\.\.1",
    ),
    "inputs": (
        lambda d: replace(d, test=Split({"other": values(d, "test")}, d.split("test").labels)),
        r"source 'planted', test: inputs .*'other'.*; train has .*'features'",
    ),
    "kind": (
        lambda d: replace(d, preprocess=Preprocess(kind="image", channels=1, height=2, width=3)),
        r"source 'planted', train: inputs .*`preprocess` of kind image asks for .*images.*.*\(1, 2, 3\)",
    ),
    "names": (lambda d: replace(d, classes=("cat", "dog", "cat")), r"two classes have the same name: cat, dog, cat"),
    "nothing": (lambda d: replace(d, val=pick(d.split("val"), np.arange(0))), r"source 'planted', val: no rows"),
}


@pytest.mark.parametrize("fault", UNSOUND)
def test_a_source_that_breaks_its_contract_is_named(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, message = UNSOUND[fault]
    with pytest.raises(DataError, match=message):
        run(change(good()), monkeypatch, settings())
    assert list(Path().iterdir()) == []


def test_a_crash_while_writing_keeps_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    run(good(), monkeypatch, settings())
    before = (DATA / "data.json").read_bytes()

    def fail(*_: object) -> str:
        raise OSError("disk full")

    monkeypatch.setattr(prepare, "page", fail)
    with pytest.raises(OSError, match="disk full"):
        run(good(), monkeypatch, settings())
    assert (DATA / "data.json").read_bytes() == before
    assert [p.name for p in Path("artifacts").iterdir()] == ["data"]
