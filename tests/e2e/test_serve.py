"""Real `bentoml serve` and `bentoml build` processes over a package made by hand."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from tests import made_package

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
BENTOML = [sys.executable, "-m", "bentoml"]
IMAGES = np.random.default_rng(6).integers(0, 256, (2, 1, 8, 8), dtype=np.uint8)


def environment(home: Path, package: Path | None) -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("STILLROOM_", "PROMETHEUS_", "BENTOML"))}
    env |= {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", "OMP_WAIT_POLICY": "PASSIVE"}
    return env if package is None else {**env, "STILLROOM_PACKAGE": str(package)}


def stop(process: subprocess.Popen[str]) -> None:
    """End a server and every process that it started; nothing to do for one that has ended by itself."""
    if process.poll() is not None:
        return
    family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    process.terminate()
    _, alive = psutil.wait_procs(family, timeout=20)
    for one in alive:
        one.kill()
    process.wait(20)


@contextmanager
def serving(what: str, cwd: Path, env: dict[str, str]) -> Iterator[httpx.Client]:
    """A running server, ready; everything that it started is gone afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = Path(env["BENTOML_HOME"]).with_suffix(".log")
    with log.open("w") as out:
        command = [*BENTOML, "serve", what, "--host", "127.0.0.1", "--port", str(port)]
        process = subprocess.Popen(command, cwd=cwd, env=env, stdout=out, stderr=subprocess.STDOUT, text=True)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
            end = time.monotonic() + 120
            while not ready(client):
                assert process.poll() is None and time.monotonic() < end, log.read_text()
                time.sleep(0.3)
            yield client
    finally:
        stop(process)


def ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_a_server_answers_routes_and_counts(tmp_path: Path) -> None:
    package = made_package.make(tmp_path / "package", workers=2)
    with serving("serving.service:Stillroom", ROOT, environment(tmp_path / "home", package)) as client:
        asked = {"control": 0, "treatment": 0}
        for i in range(40):
            answer = client.post("/predict", json={"inputs": IMAGES.tolist(), "user_id": f"u{i % 10}"})
            assert answer.status_code == 200
            role = answer.json()["variant"]
            assert np.allclose(answer.json()["probabilities"], made_package.expected(role, IMAGES), atol=1e-5)
            asked[role] += 1
        assert client.post("/predict", json={"inputs": [[1]]}).status_code == 422
        metrics = client.get("/metrics").text
        for role, n in asked.items():
            assert n and f'stillroom_requests_total{{status="200",variant="{role}"}} {n}.0' in metrics
            assert f'stillroom_request_duration_seconds_count{{variant="{role}"}} {n}.0' in metrics
            assert f'stillroom_stage_duration_seconds_count{{stage="network",variant="{role}"}} {n}.0' in metrics
        assert 'stillroom_requests_total{status="422",variant="none"} 1.0' in metrics
        assert 'model="student_int8"' in metrics
        assert "<title>Stillroom</title>" in client.get("/").text


def test_a_changed_byte_in_a_model_stops_the_start_with_one_clear_line(tmp_path: Path) -> None:
    package = made_package.make(tmp_path / "package")
    content = bytearray((package / "treatment.onnx").read_bytes())
    content[100] ^= 1
    (package / "treatment.onnx").write_bytes(content)
    command = [*BENTOML, "serve", "serving.service:Stillroom", "--host", "127.0.0.1", "--port", "0"]
    env = environment(tmp_path / "home", package)
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert "treatment.onnx: changed since it was packaged" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bento_is_built_offline_and_serves_its_own_copy(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "serving", checkout / "serving", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "bentofile.yaml", checkout)
    made_package.make(checkout / "results" / "package")
    (checkout / "results" / "bench.json").write_text("{}")
    env = environment(tmp_path / "home", None)
    built = subprocess.run([*BENTOML, "build"], cwd=checkout, env=env, capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stdout + built.stderr
    (bento,) = (path.parent for path in (tmp_path / "home" / "bentos").rglob("bento.yaml"))
    held = {path.relative_to(bento / "src").as_posix() for path in (bento / "src").rglob("*") if path.is_file()}
    code = {path for path in held if path.startswith("serving/")}
    package = {f"results/package/{p.name}" for p in (checkout / "results" / "package").iterdir()}
    assert held - code == {"bentofile.yaml", *package}
    assert {"serving/service.py", "serving/page.html"} <= code
    requirements = (bento / "env" / "python" / "requirements.txt").read_text()
    assert "onnxruntime" in requirements and "torch" not in requirements
    shutil.rmtree(checkout)
    with serving("stillroom:latest", tmp_path, env) as client:
        answer = client.post("/predict", json={"inputs": IMAGES.tolist()})
        assert answer.json()["variant"] == "control"
        assert np.allclose(answer.json()["probabilities"], made_package.expected("control", IMAGES), atol=1e-5)
