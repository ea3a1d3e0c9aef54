from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from serving import vitals

SAY = """
import os, signal
from serving import vitals
vitals.measure()
os.kill(os.getpid(), signal.SIGKILL)
"""
READ = """
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from serving import vitals
import sys
if "bury" in sys.argv:
    vitals.bury()
mine = vitals.measure()
registry = CollectorRegistry()
MultiProcessCollector(registry)
print(registry.get_sample_value("stillroom_process_resident_bytes") / mine.resident_bytes)
"""


def test_a_process_is_measured() -> None:
    found = vitals.measure()
    times = psutil.Process().cpu_times()
    assert 0 < found.cpu_s <= times.user + times.system
    assert found.resident_bytes > 10_000_000


@pytest.mark.parametrize(("how", "workers"), [("", 2), ("bury", 1)])
def test_a_killed_worker_is_counted_until_it_is_buried(tmp_path: Path, how: str, workers: int) -> None:
    env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", SAY], env=env, check=False, timeout=60)
    told = subprocess.run([sys.executable, "-c", READ, how], env=env, capture_output=True, text=True, timeout=60)
    assert float(told.stdout) == pytest.approx(workers, rel=0.3), told.stderr


def test_without_several_processes_there_is_nobody_to_bury(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    assert vitals.bury() == ()
