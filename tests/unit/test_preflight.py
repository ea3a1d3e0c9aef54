"""The rehearsal's parts: a plan cut short, a handful of rows, and what is reckoned from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from flows import preflight
from flows.estimate import Rehearsed, estimates, told
from tasks import handful
from tasks.core.artifact import DATA, read_json
from tasks.core.contract import Split
from tasks.core.dataset import read_data
from tasks.core.rehearsal import SIZES, VARIABLE, Sizes, lap, laps
from tasks.plan import load
from tasks.plan.shorten import passes, short_plan, shortened

ROOT = Path(__file__).resolve().parents[2]


def test_every_example_is_cut_short_and_stays_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLROOM_DATA", str(tmp_path))
    for example in sorted((ROOT / "params/examples").iterdir()):
        folder = tmp_path / example.name
        folder.mkdir()
        for file in (ROOT / "params").glob("*.yaml"):
            (folder / file.name).write_bytes(file.read_bytes())
        for file in example.glob("*.yaml"):
            (folder / file.name).write_bytes(file.read_bytes())
        (folder / "smoke.yaml").unlink()
        plan = load(folder).plan
        (folder / "plan.yaml").write_text(yaml.safe_dump(short_plan(plan), sort_keys=False), encoding="utf-8")
        short = load(folder).plan
        assert list(short.variants) == list(plan.variants)
        assert [row.technique for row in short.variants.values()] == [r.technique for r in plan.variants.values()]
        for name, row in short.variants.items():
            assert passes(row.params) <= passes(plan.variants[name].params)
            assert getattr(row.params, "epochs", 0) <= 2
        assert short.choose.at_most == {} and short.bench.budget_s == 1.0


def test_passes_count_the_recovery_and_every_round() -> None:
    rows = load(ROOT / "params").plan.variants
    assert (passes(rows["baseline"].params), passes(rows["pruned50"].params)) == (30, 10)
    assert passes(rows["baseline_int8"].params) == 0
    assert passes(shortened(rows["baseline"].params)) == 2


def test_a_handful_has_rows_of_every_class() -> None:
    labels = np.repeat(np.arange(3), [500, 40, 2])
    few = handful.cut(Split({"x": np.arange(542)}, labels), ("a", "b", "c"), seed=0)
    assert np.bincount(few.labels).tolist() == [22, 22, 2]
    assert len(set(np.asarray(few.inputs["x"]).tolist())) == len(few)


def test_prepare_on_a_handful_says_how_many_there_would_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(ROOT / "params")
    handful.run(settings)
    sizes, data = read_json(SIZES, Sizes), read_data(DATA)
    assert sum(sizes.rows.values()) - sizes.rows["calibration"] == 1797  # scikit-learn's digits
    assert sizes.rehearsed["train"] == len(data.train) < 200
    assert {*data.train.labels.tolist()} == set(range(10))


def test_laps_are_noted_only_where_a_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with lap():
        pass
    monkeypatch.setenv(VARIABLE, str(tmp_path / "laps"))
    for _ in range(3):
        with lap():
            pass
    assert len(laps(tmp_path / "laps")) == 3
    assert laps(tmp_path / "none") == ()


def test_estimate_grows_with_passes_and_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = load(ROOT / "params").plan
    sizes = Sizes(
        rows={"train": 1000, "calibration": 10, "val": 100, "test": 200},
        rehearsed={"train": 100, "calibration": 10, "val": 50, "test": 50},
        row_bytes=1000,
    )
    done = [
        Rehearsed("handful", 4.0, 100.0, ()),
        Rehearsed("build@baseline", 6.0, 300.0, (3.0, 0.5, 0.5)),
        Rehearsed("evaluate@baseline", 3.0, 200.0, ()),
        Rehearsed("bench", 5.0, 50.0, ()),
        Rehearsed("choose", 1.0, 50.0, ()),
    ]
    found = {e.step: e for e in estimates(plan, sizes, done, {"baseline": 0.01}, tmp_path)}
    assert list(found) == ["prepare", "build@baseline", "evaluate@baseline", "bench", "choose"]
    # 1 s to start, 1 s beside the passes, then 30 passes of 0.5 s over ten times the rows
    assert found["build@baseline"].seconds == pytest.approx(1 + 1 + 30 * 0.5 * 10)
    assert found["evaluate@baseline"].seconds == pytest.approx(3 + 200 * 0.02)
    assert found["bench"].seconds == pytest.approx(5 + plan.bench.budget_s)
    assert found["prepare"].disk_mb == pytest.approx(1.31) and found["build@baseline"].peak_mb == pytest.approx(301.31)
    said = told(list(found.values()), workers=2)
    assert "build@baseline" in said and "in all about 4 min of work" in said


def test_smoke_is_not_long_and_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.plan.gate import load_plan

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(preflight, "rehearse", lambda *_: pytest.fail("nothing to rehearse"))
    assert not preflight.is_long(load_plan(ROOT / "params/smoke.yaml"))
