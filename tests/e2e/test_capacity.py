"""`stillroom capacity` over a package made by hand: a real server, a real sweep, and the files that come of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml

from tasks.capacity.levels import Capacity
from tests import made_package

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("tasks", "flows", "serving", "params"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    made_package.make(tmp_path / "results" / "package")
    return tmp_path


def stillroom(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("STILLROOM_", "PROMETHEUS_", "BENTOML"))}
    env |= {"PYTHONPATH": str(checkout), "COLUMNS": "200"}
    command = [sys.executable, "-m", "flows.cli", "capacity", *arguments]
    return subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True, timeout=600)


def servers() -> set[int]:
    """Processes below this one; a server that was left behind by a command that ended would hang on another."""
    return {p.pid for p in psutil.process_iter(["cmdline"]) if "serving.service:Stillroom" in (p.info["cmdline"] or [])}


def test_a_replica_is_measured_and_the_files_follow(checkout: Path) -> None:
    before = servers()
    done = stillroom(checkout, "--candidate", "--seconds", "1.5", "--sla-ms", "5000", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = Capacity.model_validate_json((checkout / "results" / "capacity.json").read_bytes())
    assert Capacity.model_validate(json.loads(done.stdout)) == found, "--json is that value alone"
    assert {1, 2, 4, 8, 16, 32, 64} <= {level.concurrency for level in found.levels}
    assert all(level.answered and not level.failed for level in found.levels)
    assert (found.control, found.treatment, found.treatment_share) == ("baseline", "student_int8", 0.5)
    assert found.cold_start_s > 0 and found.knee is not None and found.safe is not None
    assert all(level.cpu_ms_per_request > 0 and level.rss_mb > 50 for level in found.levels)
    for name in ("bentocloud", "kubernetes", "hpa", "keda", "keeper"):
        assert "# Measured by `stillroom capacity`" in (checkout / "results/autoscale" / f"{name}.yaml").read_text()
    cloud = yaml.safe_load((checkout / "results/autoscale/bentocloud.yaml").read_text())
    traffic = cloud["services"]["stillroom"]["config_overrides"]["traffic"]
    assert traffic["concurrency"] == found.knee.concurrency
    assert 2 * traffic["concurrency"] <= traffic["max_concurrency"] <= 4 * traffic["concurrency"]
    assert servers() <= before, "nothing is left behind"

    curve = checkout / "day.csv"
    curve.write_text(f"time,requests_per_s\n00:00,1\n12:00,{3 * found.safe.arrivals_per_s}\n24:00,1\n")
    done = stillroom(checkout, "--day", str(curve), "--json")
    assert done.returncode == 0, done.stderr
    days = {day["policy"]: day for day in json.loads(done.stdout)}
    assert days["fixed for the highest load"]["replica_hours"] == 72.0
    (keda,) = (day for name, day in days.items() if name.startswith("keda.yaml"))
    assert keda["replica_hours"] < 72.0 and keda["replicas_most"] >= 3


def test_what_cannot_be_measured_is_said(checkout: Path) -> None:
    done = stillroom(checkout, "--day", "day.csv")
    assert done.returncode == 1 and "results/capacity.json: not there yet" in done.stderr
    done = stillroom(checkout, "--candidate", "--who", "treatmnet")
    assert done.returncode == 1 and "did you mean 'treatment'?" in done.stderr
    model = checkout / "results/package/treatment.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    done = stillroom(checkout, "--candidate")
    assert done.returncode == 1 and "treatment.onnx: changed since it was packaged" in done.stderr
    assert "Traceback" not in done.stderr and not (checkout / "results/capacity.json").exists()
