"""Money, energy and carbon by hand; counters that wrap, counters that are not there; and the page of it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from flows import worth
from tasks import choose
from tasks.core import artifact
from tasks.core.errors import ArtifactError
from tasks.core.last_run import RUN_RECORD
from tasks.evidence import rapl
from tasks.evidence.worth import break_even, grams_of, price_per_request, request
from tasks.plan import Plan
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


def choose_and_record(measured: tuple[str, ...] = (), worked: float | None = None) -> Plan:
    """A choice on planted evidence, and a run of which two steps count: 100 s; those `measured` took 36 kJ a second.

    Of baseline's 90 s processors `worked` so many, where that was counted.
    """
    plant()
    settings = fake.settings()
    choose.run(settings)
    seconds = {"build@baseline": ("computed", 90.0), "bench": ("reused", 10.0)}
    seconds |= {"build@student": ("restored", 0.0), "report": ("computed", 5.0)}
    energy = {"joules": 9e9, "seconds": 1.0, "source": "RAPL"} if measured else None
    stages = {
        name: {
            "state": state,
            "seconds": 0.1,
            "computed_s": took,
            "computed_cpu_s": worked if name == "build@baseline" else None,
            "computed_j": 36_000 * took if name in measured else None,
        }
        for name, (state, took) in seconds.items()
    }
    artifact.write_json(RUN_RECORD, {"stages": stages, "energy": energy})
    return settings.plan


def shown(plan: Plan) -> str:
    text = io.StringIO()
    worth.show(Console(file=text, width=140), worth.worth(plan))
    return text.getvalue()


def test_the_account_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """1 ms a row are 3.6 million an hour at 0.05; student_int8 takes a fifth; 10 W for 100 s are 1000 J."""
    monkeypatch.chdir(tmp_path)
    found = worth.worth(choose_and_record())
    base, _, best = found.lines
    assert base.worth.cost_per_million == pytest.approx(0.05 / 3.6) and base.break_even_energy is None
    assert found.spent is not None and (found.spent.steps, found.spent.joules) == (2, pytest.approx(1000))
    assert found.spent.joules_from == "estimate" and best.saved == pytest.approx(0.8)
    assert best.break_even_energy == pytest.approx(1000 / (0.01 - 0.002))
    # 100 s of a core at 0.05 an hour, over 0.8 x 0.05 for 3.6 million requests
    assert best.break_even_cost == pytest.approx((100 / 3600 * 0.05) / (0.8 * 0.05 / 3.6e6))
    said = shown(fake.settings().plan)
    assert "student_int8 has won that back in energy after 125,000 requests" in said
    assert "assumed: 0.05 USD an hour for 1 core(s)" in said


def test_measured_energy_takes_the_place_of_the_estimate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = worth.worth(choose_and_record(("build@baseline", "bench")))
    assert found.spent is not None and found.spent.joules_from == "RAPL"
    assert found.spent.grams_co2 == pytest.approx(458) and found.spent.core_seconds == 100
    part = worth.worth(choose_and_record(("bench",))).spent
    assert part is not None and part.joules_from == "RAPL, in part an estimate"
    assert part.joules == pytest.approx(360_000 + 900)


def test_the_estimate_is_of_what_processors_worked_and_money_of_the_time_that_went_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """30 of the 90 s are worked; the 10 s of bench, which nobody counted, are taken to be so: 40 s at 10 W."""
    monkeypatch.chdir(tmp_path)
    found = worth.worth(choose_and_record(worked=30.0)).spent
    assert found is not None and (found.core_seconds, found.cpu_seconds) == (100, 40)
    assert found.joules == pytest.approx(400) and found.cost == pytest.approx(100 / 3600 * 0.05)
    assert "100 core-seconds (40 worked)" in shown(fake.settings().plan)
    part = worth.worth(choose_and_record(("bench",), worked=30.0)).spent
    assert part is not None and part.joules == pytest.approx(360_000 + 300)


def test_without_a_run_nothing_is_made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = choose_and_record()
    RUN_RECORD.unlink()
    assert worth.worth(plan).spent is None and "nothing is known of what the compression took" in shown(plan)
    artifact.CHOSEN.unlink()
    with pytest.raises(ArtifactError, match=r"chosen\.json: not there yet"):
        worth.worth(plan)
