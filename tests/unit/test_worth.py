"""Money, energy and carbon by hand; counters that wrap, counters that are not there; and the page of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks import choose, worth
from tasks.core.errors import ArtifactError
from tasks.evidence import rapl
from tasks.evidence.worth import break_even, grams_of, price_per_request, request, run_joules
from tasks.track.provenance import LastRun
from tests.unit import fake_project as fake
from tests.unit.fake_evidence import plant

ASSUMED = {"price_per_hour": 3.6, "cores": 4, "busy": 0.5, "watts_per_core": 8.0, "grams_co2_per_kwh": 500.0}


def test_price_is_what_an_hour_costs_over_the_rows_of_an_hour() -> None:
    """100 rows a second on 2 threads, 4 cores: 200 a second, 720 000 an hour, half of them at half load."""
    found = price_per_request(100, 2, price_per_hour=3.6, cores=4, busy=0.5)
    assert found == pytest.approx(3.6 / 360_000)
    with pytest.raises(ValueError, match="no price"):
        price_per_request(0, 1, price_per_hour=1, cores=1, busy=1)


def test_energy_is_the_measured_one_else_core_seconds_times_watts() -> None:
    estimated = request(100, 2, None, **ASSUMED)  # 2 cores for 10 ms at 8 W
    assert estimated.joules == pytest.approx(0.16)
    assert estimated.grams_co2 == pytest.approx(0.16 / 3_600_000 * 500)
    assert request(100, 2, 0.5, **ASSUMED).joules == 0.5
    assert run_joules({"build@a": 10.0, "bench": 5.0}, 2, 8.0) == 15 * 2 * 8
    assert grams_of(3.6e6, 473) == 473


def test_break_even_is_where_both_have_spent_the_same() -> None:
    found = break_even(1000.0, 3.0, 1.0)
    assert found.requests is not None
    assert 1000 + found.requests * 1.0 == pytest.approx(found.requests * 3.0)
    assert "500 requests" in found.sentence
    assert break_even(1000.0, 1.0, 1.0).requests is None
    assert break_even(0.0, 1.0, 2.0).requests == 0


def package(folder: Path, name: str, energy_uj: int, range_uj: int = 10_000_000) -> Path:
    zone = folder / name
    zone.mkdir(parents=True, exist_ok=True)
    (zone / "energy_uj").write_text(f"{energy_uj}\n")
    (zone / "max_energy_range_uj").write_text(f"{range_uj}\n")
    return zone


def test_counters_of_all_packages_are_added_and_may_wrap(tmp_path: Path) -> None:
    package(tmp_path, "intel-rapl:0", 9_000_000)
    package(tmp_path, "intel-rapl:1", 1_000_000)
    package(tmp_path, "intel-rapl:0:0", 5)  # a part of package 0: counted there
    before = rapl.read(tmp_path)
    assert before is not None and {*before} == {"intel-rapl:0", "intel-rapl:1"}
    package(tmp_path, "intel-rapl:0", 500_000)
    package(tmp_path, "intel-rapl:1", 3_000_000)
    after = rapl.read(tmp_path)
    assert after is not None
    assert rapl.joules(before, after) == pytest.approx(1.5 + 2.0)


def test_energy_of_a_row_is_shared_by_the_batch(tmp_path: Path) -> None:
    package(tmp_path, "intel-rapl:0", 0)
    calls: list[int] = []

    def call() -> None:
        calls.append(1)
        package(tmp_path, "intel-rapl:0", 800_000)

    assert rapl.joules_per_row(call, 4, 0.0, tmp_path) == pytest.approx(0.8 / 4)
    assert len(calls) == 1


def test_without_a_counter_nothing_is_called(tmp_path: Path) -> None:
    def never() -> None:
        raise AssertionError("called")

    assert rapl.read(tmp_path / "none") is None
    assert rapl.joules_per_row(never, 1, 1.0, tmp_path) is None
    (package(tmp_path, "intel-rapl:0", 1) / "energy_uj").write_text("secret")
    assert rapl.read(tmp_path) is None


def test_the_table_and_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    plant()
    settings = fake.settings()
    choose.run(settings)
    with pytest.raises(ArtifactError, match=r"run\.json: not there yet"):
        worth.run(settings)
    seconds = {"build@baseline": ("computed", 90.0), "bench": ("computed", 10.0)}
    seconds |= {"build@student": ("reused", 1.0), "report": ("computed", 5.0)}
    stages = {name: {"state": state, "began": 1.0, "seconds": took} for name, (state, took) in seconds.items()}
    worth.RUN_RECORD.parent.mkdir()
    worth.RUN_RECORD.write_text(json.dumps({"stages": stages}))
    assert worth.step_seconds(LastRun.read()) == {"build@baseline": 90.0, "bench": 10.0}
    capsys.readouterr()
    worth.run(settings)
    said = capsys.readouterr().out
    # 1 ms a row: 3.6 million an hour at 0.05; student_int8 0.2 ms
    assert f"| baseline | {0.05 / 3.6:.4g} |  | 0.01 | estimate |" in said
    assert "| **student_int8**, chosen | 0.002778 | 80% | 0.002 | estimate |" in said
    assert "2 steps, 100 s on 1 thread(s)" in said and "won back after 125,000 requests" in said
    assert "assumed: 0.05 USD an hour for 1 core(s)" in said
