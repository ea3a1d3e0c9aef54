"""`bench`: what it records and how it takes turns. No test here depends on how long anything took."""

from __future__ import annotations

import gc
import itertools
from pathlib import Path

import numpy as np
import pytest

from tasks import bench
from tasks.core import artifact, timing
from tasks.core.points import Point
from tasks.core.race import WARM_CALLS, Laps, race
from tasks.core.results import Bench
from tasks.evidence.machine import cpu_model, usable_cores
from tasks.evidence.standing import Standing, confidence_for
from tests.unit import fake_project as fake


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("bench"))
        fake.make_project()
        bench.run(fake.settings())
        return artifact.read_json(artifact.BENCH, Bench)


def test_every_variant_at_every_point(written: Bench) -> None:
    assert set(written.timings) == set(fake.PARENTS)
    for timings in written.timings.values():
        assert [t.point for t in timings] == [Point("onnxruntime", 1, 1), Point("onnxruntime", 1, 4)]
        for t in timings:
            assert 0 < t.p50_ms <= t.p95_ms <= t.p99_ms
            assert t.rounds >= 9 and t.calls >= t.rounds * timing.CALLS_MIN
            assert t.rows_per_s > 0 and t.agreement == 1.0
            for ratio in (t.ratio, t.p95_ratio, t.p99_ratio):
                assert 0 < ratio.low <= ratio.value <= ratio.high
            assert len(t.round_ms) == t.rounds and min(t.round_ms) > 0


def test_reference_against_itself_is_exactly_one(written: Bench) -> None:
    assert written.reference == "baseline"
    ratios = [each for t in written.timings["baseline"] for each in (t.ratio, t.p95_ratio, t.p99_ratio)]
    assert {(each.low, each.value, each.high) for each in ratios} == {(1.0, 1.0, 1.0)}
    assert {t.verdict for t in written.timings["baseline"]} == {"reference"}


def test_confidence_holds_for_all_comparisons_together(written: Bench) -> None:
    assert written.comparisons == 12  # two variants beside the reference, two batch sizes; median, p95 and p99
    assert written.confidence == pytest.approx(1 - 0.05 / 12)
    assert confidence_for(0) == 0.95


def test_machine_its_noise_and_its_limits_are_on_record(written: Bench) -> None:
    assert written.machine.cpu
    assert written.machine.cores >= 1
    assert {"python", "numpy", "onnx", "onnxruntime"} <= set(written.machine.versions)
    assert 0 <= written.noise.others_share and written.noise.clock_spread >= 0
    (limit,) = written.limits
    assert set(limit.gmacs_per_s) == set(limit.reached_by) == {"fp32", "bf16", "int8"}
    assert min(limit.gmacs_per_s.values()) > 0


def test_share_of_the_limit_is_of_the_multiplications_alone(written: Bench) -> None:
    for name, hidden in fake.HIDDEN.items():
        macs = 16 * hidden + hidden * 3
        for t in written.timings[name]:
            ideal_ms = t.batch * macs / (written.limits[0].gmacs_per_s["fp32"] * 1e6)
            assert t.limit_share == pytest.approx(ideal_ms / t.p50_ms)


def test_cold_start_and_memory_of_every_variant(written: Bench) -> None:
    assert set(written.footprints) == set(fake.PARENTS)
    for foot in written.footprints.values():
        assert 0 < foot.cold_start_ms.low <= foot.cold_start_ms.value
        assert foot.peak_memory_mb > 20 and foot.peak_memory_mb > foot.model_memory_mb >= 0


def test_a_sweep_over_threads_measures_every_count_at_every_batch_size_and_prints_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    fake.make_project()
    plan = fake.settings().plan
    swept = plan.bench.model_copy(update={"threads": (1, 2, 3), "budget_s": 0.1})
    bench.run(fake.settings().model_copy(update={"plan": plan.model_copy(update={"bench": swept})}))
    found, said = artifact.read_json(artifact.BENCH, Bench), capsys.readouterr().out
    points = [Point("onnxruntime", threads, batch) for threads in (1, 2, 3) for batch in (1, 4)]
    assert all([t.point for t in timings] == points for timings in found.timings.values())
    assert found.comparisons == 3 * 2 * len(points)
    assert [limit.threads for limit in found.limits] == [1, 2, 3]
    assert set(found.footprints) == set(fake.PARENTS)
    for point in points:
        one = found.timing("student", point)
        assert one.p50_ms > 0 and one.rows_per_s > 0 and one.rounds == len(one.round_ms) >= 10
        assert one.limit_share is not None and one.limit_share > 0
        assert f"{point}, {one.rounds} rounds" in said


def test_missing_timing_is_named(written: Bench) -> None:
    with pytest.raises(artifact.ArtifactError, match="'student' at onnxruntime, 2 threads, batch 9"):
        written.timing("student", Point("onnxruntime", 2, 9))


def laps_of(said: list[str], rounds: int, seed: int) -> dict[str, Laps]:
    openers = {name: lambda name=name: [lambda: said.append(name)] for name in "abcd"}
    return race(openers, 1, 0.0, seed, lambda laps: laps["a"].rounds < rounds)


def test_rounds_are_interleaved_shuffled_and_repeatable() -> None:
    def turns(seed: int) -> list[str]:
        said: list[str] = []
        laps_of(said, 6, seed)
        return [name for name, _ in itertools.groupby(said)]

    per_visit = 1 + WARM_CALLS + timing.CALLS_MIN
    said: list[str] = []
    laps_of(said, 6, 1)
    visits = said[::per_visit]
    assert all(set(said[i * per_visit : (i + 1) * per_visit]) == {name} for i, name in enumerate(visits))
    rounds = [visits[i : i + 4] for i in range(0, 24, 4)]
    assert all(sorted(each) == list("abcd") for each in rounds)
    assert all(rounds[k + 1] == rounds[k][::-1] for k in (0, 2, 4))
    assert len({tuple(each) for each in rounds[::2]}) > 1
    assert turns(1) == turns(1) != turns(2)


def test_every_round_opens_anew_and_counts_that_as_the_cold_start() -> None:
    opened: list[int] = []

    def opener() -> list[timing.Call]:
        opened.append(1)
        return [lambda: None, lambda: None]

    laps = race({"a": opener}, 2, 0.0, 0, lambda laps: laps["a"].rounds < 7)["a"]
    assert len(opened) == len(laps.cold_ms) == 7
    assert [len(rounds) for rounds in laps.calls_ms] == [7, 7]


def planted(ratios: list[float]) -> dict[str, Laps]:
    """Rounds whose drift is the same for both."""
    drift = 1 + np.arange(len(ratios)) % 5
    reference = Laps([[np.full(3, 4.0) * d for d in drift]], list(drift))
    mine = Laps([[np.full(3, 4.0 * r) * d for r, d in zip(ratios, drift, strict=True)]], list(drift))
    return {"reference": reference, "mine": mine}


def test_ratio_is_the_median_over_rounds_and_drift_cancels() -> None:
    found = Standing("reference", set(), 0.95, 0.02).timing(planted([0.25] * 9), "mine", 0, Point("onnxruntime", 1, 2))
    assert (found.ratio.low, found.ratio.value, found.ratio.high) == (0.25, 0.25, 0.25)
    assert (found.p50_ms, found.verdict, found.precise) == (3.0, "faster", True)
    assert found.rows_per_s == pytest.approx(1000 * 2 / np.mean(1 + np.arange(9) % 5))


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [([0.9, 0.95] * 5, "faster"), ([1.1, 1.2] * 5, "slower"), ([0.9, 1.02] * 5, "no significant change")],
)
def test_a_difference_that_the_interval_does_not_support_is_none(ratios: list[float], verdict: str) -> None:
    standing = Standing("reference", set(), 0.95, 0.02)
    found = standing.timing(planted(ratios), "mine", 0, Point("onnxruntime", 1, 1))
    assert found.verdict == verdict
    assert not found.precise and not standing.settled(planted(ratios))


def test_rounds_go_on_until_the_interval_is_narrow_or_the_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fake.make_project()
    asked: list[int] = []

    def settled(self: Standing, laps: dict[str, Laps]) -> bool:
        asked.append(laps["baseline"].rounds)
        return len(asked) == 3

    monkeypatch.setattr(Standing, "settled", settled)
    plan = fake.settings().plan
    block = plan.bench.model_copy(update={"rounds": 10, "budget_s": 1e6})
    sweep = bench.Sweep(plan.model_copy(update={"bench": block}))
    laps = sweep.race("onnxruntime", 1, bench.Watch())
    assert asked == [10, 15, 20] and laps["student"].rounds == 20
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    hasty = bench.Sweep(plan.model_copy(update={"bench": block.model_copy(update={"budget_s": 1e-9})}))
    assert hasty.race("onnxruntime", 1, bench.Watch())["student"].rounds == 9  # what twelve comparisons need


def test_the_certificate_says_where_threads_were_kept_and_they_are_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fake.make_project()
    allowed = usable_cores()
    bench.run(fake.settings())
    (where,) = artifact.read_json(artifact.BENCH, Bench).pinned.values()
    assert len(where) == 1 and usable_cores() == allowed


def test_collector_is_off_while_timing_and_on_again_after_a_fault() -> None:
    assert gc.isenabled()
    with pytest.raises(RuntimeError), timing.no_garbage_collection():
        assert not gc.isenabled()
        raise RuntimeError
    assert gc.isenabled()


def test_cpu_flags_are_read_from_linux_and_absent_elsewhere(tmp_path: Path) -> None:
    listing = tmp_path / "cpuinfo"
    listing.write_text("processor : 0\nmodel name\t: Any 9000\nflags\t\t: fpu avx2 avx512_vnni\n", encoding="utf-8")
    assert cpu_model(listing) == ("Any 9000", ("avx2", "avx512_vnni"))
    name, flags = cpu_model(tmp_path / "none")
    assert name and flags == ()
