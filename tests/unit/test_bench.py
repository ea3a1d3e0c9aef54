"""`bench`: what it records and how it takes turns. No test here depends on how long anything took."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from tasks import bench
from tasks.core import artifact, timing
from tasks.core.results import Bench
from tasks.evidence.machine import cpu_model
from tests.unit import fake_project as fake


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(timing, "WARM_UP_MS", 0.1)
    fake.make_project()
    bench.run(fake.settings())
    return artifact.read_json(artifact.BENCH, Bench)


def test_every_variant_at_every_point(written: Bench) -> None:
    assert set(written.timings) == set(fake.PARENTS)
    for timings in written.timings.values():
        assert [(t.threads, t.batch) for t in timings] == [(1, 1), (1, 4)]
        for t in timings:
            assert 0 < t.p50_ms <= t.p95_ms <= t.p99_ms
            assert t.calls >= 5 * timing.CALLS_MIN
            assert t.rows_per_s > 0
            assert t.ratio.low <= t.ratio.value <= t.ratio.high


def test_reference_against_itself_is_exactly_one(written: Bench) -> None:
    assert written.reference == "baseline"
    assert {(t.ratio.low, t.ratio.value, t.ratio.high) for t in written.timings["baseline"]} == {(1.0, 1.0, 1.0)}


def test_machine_is_on_record(written: Bench) -> None:
    assert written.machine.cpu
    assert written.machine.cores >= 1
    assert set(written.machine.versions) == {"python", "numpy", "onnx", "onnxruntime"}


def test_rounds_are_interleaved_shuffled_and_repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "WARM_UP_MS", 0.0)

    def turns(seed: int) -> list[str]:
        said: list[str] = []
        timing.measure({name: lambda name=name: said.append(name) for name in "abcd"}, 6, 0.0, seed)
        visits = said[:: timing.CALLS_MIN][4:]  # the first four are the warm-up
        return visits

    first = turns(1)
    assert first == turns(1) != turns(2)
    rounds = [first[i : i + 4] for i in range(0, 24, 4)]
    assert all(sorted(each) == list("abcd") for each in rounds)
    assert len({tuple(each) for each in rounds}) > 1


def test_ratio_is_the_median_over_rounds_and_drift_cancels() -> None:
    drift = np.array([1.0, 5.0, 2.0, 9.0, 3.0])
    reference = [np.full(3, 4.0) * d for d in drift]
    mine = [np.full(3, 1.0) * d for d in drift]
    found = bench.summarize(mine, reference, threads=1, batch=2, seed=0)
    assert (found.ratio.low, found.ratio.value, found.ratio.high) == (0.25, 0.25, 0.25)
    assert found.p50_ms == 3.0
    assert found.rows_per_s == pytest.approx(1000 * 2 / drift.mean())


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
