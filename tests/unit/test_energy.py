"""The energy of a run: counters that turn while it goes on, a stand-in for codecarbon, and the library itself."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tasks.core.errors import StillroomError
from tasks.evidence import energy, rapl
from tasks.evidence.energy import measured
from tests.unit.test_worth import package

ROOT = Path(__file__).parents[2]


def test_a_counter_that_turns_more_than_once_is_followed(tmp_path: Path) -> None:
    package(tmp_path, "intel-rapl:0", 0, range_uj=1_000_000)
    with rapl.Meter(tmp_path, every_s=3600) as meter:
        for k in range(1, 31):  # 0.1 J a step: three turns
            package(tmp_path, "intel-rapl:0", (k * 100_000) % 1_000_000, range_uj=1_000_000)
            meter.look()
    assert meter.joules == pytest.approx(3.0)


def test_without_counters_nothing_is_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "Meter", lambda: rapl.Meter(tmp_path))
    with measured("counter", 458.0) as found:
        pass
    assert found.energy is None


def test_a_counter_that_disappears_is_not_taken_for_silence(tmp_path: Path) -> None:
    zone = package(tmp_path, "intel-rapl:0", 0)
    with rapl.Meter(tmp_path) as meter:
        (zone / "energy_uj").write_text("secret")
    assert meter.joules is None


def stand_in(monkeypatch: pytest.MonkeyPatch, kwh: float) -> dict[str, Any]:
    """A codecarbon that notes how it is called."""
    seen: dict[str, Any] = {"calls": []}

    class Tracker:
        def __init__(self, **given: Any) -> None:
            seen.update(given)
            self.final_emissions_data = SimpleNamespace(energy_consumed=kwh)

        def start(self) -> None:
            seen["calls"].append("start")

        def stop(self) -> None:
            seen["calls"].append("stop")

    module = ModuleType("codecarbon")
    module.OfflineEmissionsTracker = Tracker  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "codecarbon", module)
    monkeypatch.setattr(energy, "version", lambda name: "9.9")
    return seen


def test_codecarbon_is_started_stopped_and_read_in_joules(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = stand_in(monkeypatch, kwh=0.5)
    with measured("codecarbon", 300.0) as found:
        assert seen["calls"] == ["start"] and found.energy is None
    assert seen["calls"] == ["start", "stop"]
    assert found.energy is not None and found.energy.joules == 1.8e6 and found.energy.source == "codecarbon 9.9"
    assert seen["force_carbon_intensity_g_co2e_kwh"] == 300.0
    assert not seen["output_methods"] and not seen["emissions_endpoint"] and not seen["electricitymaps_api_token"]


def test_a_run_that_fails_still_stops_the_tracker(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = stand_in(monkeypatch, kwh=0.5)
    with pytest.raises(RuntimeError), measured("codecarbon", 300.0):
        raise RuntimeError
    assert seen["calls"] == ["start", "stop"]


def test_its_absence_is_said_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    with pytest.raises(StillroomError, match=r"pip install 'stillroom\[codecarbon\]'"), measured("codecarbon", 458.0):
        raise AssertionError("it ran")


def test_the_library_itself_measures_without_a_network_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("codecarbon")
    asked: list[Any] = []

    def closed(*address: Any, **_: Any) -> None:
        asked.append(address)
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", closed)
    monkeypatch.setattr(socket.socket, "connect", closed)
    monkeypatch.setenv("CODECARBON_EMISSIONS_ENDPOINT", "http://192.0.2.1/")
    monkeypatch.setenv("CODECARBON_OUTPUT_METHODS", "csv,api")
    monkeypatch.chdir(tmp_path)
    with measured("codecarbon", 458.0) as found:
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            sum(range(10_000))
    assert found.energy is not None and 0 < found.energy.joules < 10_000
    assert not asked and not list(tmp_path.iterdir())


def test_the_library_itself_says_nothing() -> None:
    pytest.importorskip("codecarbon")
    program = "from tasks.evidence.energy import measured\nwith measured('codecarbon', 458.0): pass"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("", "")
