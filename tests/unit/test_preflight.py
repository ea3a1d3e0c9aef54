"""The rehearsal's parts: a plan cut short, a handful of rows, and what is reckoned from them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from flows import evaluation, length, preflight, rehearsal
from flows.estimate import STAGE_S, Estimate, Rehearsed, answer_s, estimates
from flows.foretell import SPARE_MB, Room, foretold, text
from flows.length import Length
from flows.stages import stages
from tasks import handful, prepare
from tasks.core.artifact import DATA, read_json, write_json
from tasks.core.contract import Params, Split
from tasks.core.dataset import read_data
from tasks.core.errors import DataError
from tasks.core.findings import Interval
from tasks.core.last_run import RUN_RECORD
from tasks.core.rehearsal import PREPARED, SIZES, VARIABLE, Lap, Sizes, lap, laps
from tasks.core.results import Bench, Timing
from tasks.core.settle import settle_in_rehearsal
from tasks.plan import Plan, load
from tasks.plan.gate import load_plan
from tasks.plan.service import Ceiling
from tasks.plan.shorten import batch, passes, short_plan, shortened
from tests.unit import fake_project

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
        assert set(short.choose.at_most) <= {"size_mb", "parameters", "macs"} and short.bench.budget_s == 1.0


def test_passes_count_the_recovery_and_every_round() -> None:
    rows = load(ROOT / "params").plan.variants
    assert (passes(rows["baseline"].params), passes(rows["pruned50"].params)) == (30, 10)
    assert passes(rows["baseline_int8"].params) == 0
    assert passes(shortened(rows["baseline"].params)) == 2
    assert shortened(rows["baseline"].params).lr == 0.01
    cifar10 = load_plan(ROOT / "params/examples/cifar10/plan.yaml").variants
    found = {name: passes(cifar10[name].params) for name in ("taylor_half", "sparse90", "ticket90", "committee")}
    assert found == {"taylor_half": 2 * 3, "sparse90": 15, "ticket90": 6 * (1 + 3 + 1), "committee": 2 * 10}


def test_first_weights_are_not_made_so_sparse_that_a_wide_layer_is_empty() -> None:
    cifar10 = load_plan(ROOT / "params/examples/cifar10/plan.yaml").variants
    assert {shortened(cifar10[name].params).sparsity for name in ("sparse90", "ticket90")} == {0.5}


def test_a_handful_has_rows_of_every_class() -> None:
    labels = np.repeat(np.arange(3), [500, 40, 2])
    few = handful.cut(Split({"x": np.arange(542)}, labels), ("a", "b", "c"), seed=0, rows=64)
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


def test_what_is_prepared_is_taken_in_place_of_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(ROOT / "params")
    prepare.run(settings)
    DATA.rename(PREPARED)
    monkeypatch.setattr(handful, "plugin", lambda *_: pytest.fail("the source was read"))
    handful.run(settings)
    about = json.loads((PREPARED / "data.json").read_text())
    assert read_json(SIZES, Sizes).rows == about["rows"]
    few, whole = read_data(DATA), read_data(PREPARED)
    assert few.preprocess == whole.preprocess and 64 <= len(few.train) <= 70


def test_train_holds_the_largest_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(ROOT / "params")
    row = settings.plan.variants["pruned50"]
    recover = row.params.recover.model_copy(update={"batch": 150})  # type: ignore[attr-defined]
    large = row.model_copy(update={"params": row.params.model_copy(update={"recover": recover})})
    variants = settings.plan.variants | {"pruned50": large}
    assert [batch(each.params) for each in variants.values()] == [64, 64, 150, 0, 0, 0]
    plan = settings.plan.model_copy(update={"variants": variants})
    handful.run(settings.model_copy(update={"plan": plan}))
    assert 150 <= read_json(SIZES, Sizes).rehearsed["train"] < 170


def test_the_gates_on_groups_are_gates() -> None:
    assert set(handful.OF_GROUPS) <= set(get_args(Ceiling))
    assert {name for name in get_args(Ceiling) if "group" in name} <= set(handful.OF_GROUPS)


def test_a_gate_on_groups_needs_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(ROOT / "params")
    gates = settings.promotion.model_copy(update={"at_most": {"equalized_odds_difference": 0.1}})
    with pytest.raises(DataError, match=r"promotion.yaml: equalized_odds_difference: cannot be judged"):
        handful.run(settings.model_copy(update={"promotion": gates}))


def test_laps_are_noted_only_where_a_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with lap("train", 64):
        pass
    monkeypatch.setenv(VARIABLE, str(tmp_path / "laps"))
    for kind in ("train", "val", "train"):
        with lap(kind, 64):  # type: ignore[arg-type]
            pass
    assert [each.kind for each in laps(tmp_path / "laps")] == ["train", "val", "train"]
    assert laps(tmp_path / "none") == ()


def test_batch_norms_settle_at_once_in_a_rehearsal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    norm = nn.BatchNorm2d(3)
    monkeypatch.delenv(VARIABLE, raising=False)
    settle_in_rehearsal(nn.Sequential(norm))
    assert norm.momentum == 0.1
    monkeypatch.setenv(VARIABLE, "laps")
    settle_in_rehearsal(nn.Sequential(norm))
    rows = 5 + torch.randn(64, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    norm(rows)
    assert torch.allclose(norm.running_mean, rows.mean((0, 2, 3)))


def a_bench(precise: float) -> Bench:
    """One variant, timed at 10 ms a row; the interval of its ratio is `precise` to either side after 9 rounds."""
    percentiles = {f"p{p}_ms": 10.0 for p in (5, 25, 50, 75, 95, 99)}
    ratio = Interval(value=1.0, low=1 - precise, high=1 + precise)
    timing = Timing(
        threads=1,
        batch=1,
        rows_per_s=100,
        calls=9,
        rounds=9,
        ratio=ratio,
        p95_ratio=ratio,
        p99_ratio=ratio,
        verdict="reference",
        precise=True,
        **percentiles,
    )
    return Bench.model_construct(timings={"baseline": (timing,)})


def test_estimate_grows_with_passes_and_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = load(ROOT / "params").plan
    sizes = Sizes(
        rows={"train": 1000, "calibration": 10, "val": 100, "test": 200},
        rehearsed={"train": 100, "calibration": 10, "val": 50, "test": 50},
        row_bytes=1000,
    )
    each = [Lap(kind=kind, rows=50, seconds=s) for s in (3.0, 0.5) for kind in ("train", "val")]
    done = [
        Rehearsed("prepare", 4.0, 0.5, 100.0),
        Rehearsed("build@baseline", 8.0, 2.0, 300.0, tuple(each)),
        Rehearsed("evaluate@baseline", 3.0, 0.5, 200.0),
        Rehearsed("bench", 5.0, 0.5, 50.0),
        Rehearsed("serve", 1.0, 0.0, 50.0),
    ]
    found = {e.step: e for e in estimates(plan, sizes, done, a_bench(0.9), tmp_path)}
    assert list(found) == [e.step for e in done]
    # 1 s beside the passes, then 30 passes of 0.01 s for each of 1000 rows of train and 100 of val
    assert found["build@baseline"].seconds == pytest.approx(1 + 30 * 0.01 * 1100 + 2 + STAGE_S)
    assert found["evaluate@baseline"].seconds == pytest.approx(3 + 200 * 0.02 + 0.5 + STAGE_S)
    assert found["bench"].seconds == pytest.approx(5 + plan.bench.budget_s + 0.5 + STAGE_S)
    assert found["prepare"].disk_mb == pytest.approx(1.31) and found["build@baseline"].peak_mb == pytest.approx(301.31)
    beside = [Lap(kind="answers", rows=50, seconds=1.0), Lap(kind="calibration", rows=10, seconds=0.5)]
    done[1] = done[1]._replace(laps=(*each, *beside))  # 1.5 of the 8 s grow with the rows of val and calibration
    grown = {e.step: e for e in estimates(plan, sizes, done, a_bench(0.9), tmp_path)}["build@baseline"].seconds
    assert grown == pytest.approx(0.0 + 1.0 * 100 / 50 + 0.5 * 10 / 10 + 30 * 0.01 * 1100 + 2 + STAGE_S)
    quiet = {e.step: e for e in estimates(plan, sizes, done, a_bench(0.001), tmp_path)}["bench"].seconds
    calls = len(plan.variants) * len(plan.bench.batch) * plan.bench.round_ms / 1000
    assert quiet == pytest.approx(
        5 + plan.bench.rounds * calls + 0.5 + STAGE_S
    )  # the fewest rounds that the plan allows


def test_an_evaluation_is_reckoned_from_the_engine_that_it_runs_on() -> None:
    (mine,) = a_bench(0.9).timings["baseline"]
    fast = mine.model_copy(update={"engine": "openvino", "p50_ms": 1.0})
    assert answer_s((fast, mine)) == answer_s((mine, fast)) == pytest.approx(0.01)
    assert answer_s((fast,)) == pytest.approx(0.001)  # bench.engines without ONNX Runtime: nothing better is known


SIZES_OF_RUN = Sizes(
    rows={"train": 1000, "calibration": 10, "val": 200, "test": 2000},
    rehearsed={"train": 100, "calibration": 10, "val": 20, "test": 40},
    row_bytes=1000,
)


def test_an_evaluation_grows_with_the_rows_that_are_emulated_and_those_answered_at_once() -> None:
    laps = (
        *(
            Lap(kind="predicted", rows=rows, seconds=rows / 100, most=256, grown_mb=mb)
            for rows, mb in ((20, 3), (40, 5))
        ),
        Lap(kind="emulated", rows=20, seconds=2.0, most=178),
    )
    # 4 s, of them 2 for 20 rows emulated, which become 178; 2140 rows more are answered at 0.01 s by both sides
    assert evaluation.evaluate_s(SIZES_OF_RUN, 4.0, laps, 0.01) == pytest.approx(2 + 0.1 * 178 + 0.01 * 2140)
    # a pair of laps is both splits answered by one side
    assert evaluation.answers_s(laps, SIZES_OF_RUN) == pytest.approx(0.01 * 2200 + 0.1 * 178)
    assert evaluation.grown_mb(laps, SIZES_OF_RUN) == pytest.approx(8 * (256 / 40 - 1))
    few = SIZES_OF_RUN.model_copy(update={"rows": {"train": 1, "calibration": 1, "val": 100, "test": 60}})
    assert evaluation.emulated_s(laps, few) == pytest.approx(0.1 * 100)  # val has no more
    assert evaluation.grown_mb(laps, few) == pytest.approx(8 * (100 / 40 - 1))
    one_by_one = (Lap(kind="predicted", rows=40, seconds=1.0, most=1, grown_mb=9.0),)
    assert evaluation.grown_mb(one_by_one, SIZES_OF_RUN) == 0


def test_what_is_foretold_is_held_against_the_room_there_is() -> None:
    found = [Estimate(step=f"build@v{k}", seconds=100, peak_mb=400 + k, disk_mb=10) for k in range(3)]
    found.append(Estimate(step="track", seconds=20, peak_mb=1, disk_mb=5))
    roomy = foretold(found, 2, Room(memory_mb=1e6, disk_mb=1e6))
    assert roomy.warnings == () and roomy.seconds == 320
    assert roomy.memory_mb == 402 + 401 + SPARE_MB and roomy.disk_mb == 2 * 30 + 5
    assert "in all about 5 min on a machine" in text(roomy) and "build@v2" in text(roomy)
    tight = foretold(found, 2, Room(memory_mb=1000, disk_mb=64)).warnings
    assert tight[0] == "memory: about 1,303 MB needed, 1,000 MB available; --workers 1 needs less"
    assert tight[1] == "disk: about 65 MB needed, 64 MB free"
    assert "would compute nothing" in text(foretold([], 2, Room(memory_mb=1, disk_mb=1)))


def test_what_trains_and_evaluates_nothing_is_judged_by_the_steps_and_the_budget_of_the_bench(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(preflight, "rehearsal", lambda *_: pytest.fail("nothing to rehearse"))
    plan = load(ROOT / "params").plan
    assert preflight.preflight(plan, {"build@student_int8", "bench", "choose"}, asked=False) == []
    ran = fake(monkeypatch, tmp_path, rows=1, pass_s=0.0)
    known(monkeypatch)
    long = plan.model_copy(update={"bench": plan.bench.model_copy(update={"threads": (1, 2, 4)})})  # a minute for each
    preflight.preflight(long, {"build@student_int8", "bench", "choose"}, asked=False)
    assert ran[-2:] == ["serve", "track"]
    assert preflight.preflight(long, {"build@student_int8", "choose"}, asked=False) == []


def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rehearsal that is seen to its end is estimated elsewhere."""
    monkeypatch.setattr(preflight, "read_json", lambda path, kind: None if kind is Bench else read_json(path, kind))
    monkeypatch.setattr(preflight, "estimates", lambda *_: [])


def loads(plan: Plan) -> Plan:
    """The plan with rows that train nothing, as those of `load` and `load_onnx`."""
    rows = {name: row.model_copy(update={"params": Params()}) for name, row in plan.variants.items()}
    return plan.model_copy(update={"variants": rows})


@pytest.mark.parametrize(("rows", "row_s", "last"), [(100, 9.0, "prepare"), (9000, 1e-5, "evaluate"), (9000, 0.1, "")])
def test_a_plan_that_trains_nothing_is_rehearsed_where_its_evaluations_take_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, row_s: float, last: str
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = loads(load(ROOT / "params").plan)
    ran = fake(monkeypatch, tmp_path, rows=1, pass_s=0.0, judged=rows, row_s=row_s)
    known(monkeypatch)
    assert preflight.preflight(plan, {stage.name for stage in stages(plan)}, asked=False) == []
    assert ran[-1].partition("@")[0] == (last or "track")
    assert sum(step.startswith("evaluate@") for step in ran) == {"prepare": 0, "evaluate": 1, "": 6}[last]


@pytest.mark.parametrize(("took", "rehearsed"), [(1.0, False), (50.0, True)])
def test_evaluations_that_were_computed_before_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, took: float, rehearsed: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = loads(load(ROOT / "params").plan)
    stale = {f"evaluate@{name}" for name in plan.variants}
    write_json(
        RUN_RECORD, {"stages": {step: {"state": "computed", "seconds": 0, "computed_s": took} for step in stale}}
    )
    assert Length(plan, stale).short_unseen() is not rehearsed
    assert not Length(plan, {*stale, "prepare"}).short_unseen()  # other data: what was remembered is of no use


def test_few_rows_of_current_data_are_counted_without_a_rehearsal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fake_project.make_project()
    plan = loads(load(ROOT / "params").plan)
    assert Length(plan, {"evaluate@student"}).short_unseen()
    monkeypatch.setattr(length, "FEW_ROWS", 180)  # 30 of val and 60 of test, both sides
    assert not Length(plan, {"evaluate@student"}).short_unseen()


def fake(
    monkeypatch: pytest.MonkeyPatch, folder: Path, rows: int, pass_s: float, judged: int = 64, row_s: float = 0.0
) -> list[str]:
    """A rehearsal of a train split of `rows` whose passes take `pass_s`; the steps that it is asked for.

    Of `judged` rows of val and of test, each takes `row_s` to be answered.
    """
    ran: list[str] = []

    def run(step: str) -> Rehearsed:
        ran.append(step)
        few = {"train": 64, "calibration": 64, "val": 64, "test": 64}
        full = {**few, "train": rows, "val": judged, "test": judged}
        write_json(folder / SIZES, Sizes(rows=full, rehearsed=few, row_bytes=64))
        passed = (Lap(kind="train", rows=rows, seconds=pass_s),) if step.startswith("build@") else ()
        if step.startswith("evaluate@"):
            passed = (Lap(kind="predicted", rows=64, seconds=64 * row_s, most=256),) * 4
        return Rehearsed(step, 1.0, 1.0, 1.0, passed)

    @contextmanager
    def rehearsal(*_: object) -> Iterator[Any]:
        yield run

    monkeypatch.setattr(preflight, "rehearsal", rehearsal)
    monkeypatch.setattr(preflight, "FOLDER", folder)
    return ran


def test_an_unasked_rehearsal_ends_once_the_run_is_seen_to_be_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = load(ROOT / "params").plan
    stale = {stage.name for stage in stages(plan)}
    ran = fake(monkeypatch, tmp_path, rows=100, pass_s=9.0)
    assert preflight.preflight(plan, stale, asked=False) == [] and ran == ["prepare"]
    ran = fake(monkeypatch, tmp_path, rows=1000, pass_s=0.1)  # 70 passes
    assert preflight.preflight(plan, stale, asked=False) == [] and ran == ["prepare", "build@baseline"]
    ran = fake(monkeypatch, tmp_path, rows=1000, pass_s=5.0)
    known(monkeypatch)
    preflight.preflight(plan, stale - {"build@student"}, asked=False)
    assert ran == [n for n in (s.name for s in stages(plan)) if n != "build@student"] + ["serve", "track"]


def test_a_failure_tells_the_end_of_its_log_without_the_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = rehearsal.FOLDER / "logs/build@mine.log"
    log.parent.mkdir(parents=True)
    log.write_text(
        'mine: begins\nTraceback (most recent call last):\n  File "x", line 1\n    boom()\nValueError: odd\n'
    )
    said = str(rehearsal.failure("build@mine", 1)).splitlines()
    assert said == [
        "preflight: build@mine would fail, so nothing was begun:",
        "  mine: begins",
        "  ValueError: odd",
        "whole log: .stillroom/preflight/logs/build@mine.log",
    ]
    assert "signal 9 (out of memory?)" in str(rehearsal.failure("build@mine", -9))


def test_clearing_removes_links_and_not_what_they_point_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/raw").write_text("dear")
    folder = tmp_path / rehearsal.FOLDER
    (folder / "logs").mkdir(parents=True)
    (folder / "data").symlink_to(tmp_path / "data")
    rehearsal.clear(keep=("logs",))
    assert [p.name for p in folder.iterdir()] == ["logs"]
    rehearsal.clear()
    assert not folder.exists() and (tmp_path / "data/raw").read_text() == "dear"


def test_two_rehearsals_do_not_meet_in_one_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with rehearsal._alone(), pytest.raises(rehearsal.PreflightError, match="another one is at work"):
        with rehearsal._alone():
            pytest.fail("let in")
    with rehearsal._alone():
        pass
