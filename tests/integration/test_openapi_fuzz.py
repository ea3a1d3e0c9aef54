"""Schemathesis against the service's own OpenAPI document: no 5xx, and nothing that it does not tell of."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import made_package
from tests.e2e.test_serve import ROOT, environment, serving

pytestmark = pytest.mark.integration
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)


@pytest.mark.parametrize("make", [made_package.make, made_package.make_text])
def test_whatever_is_sent_the_document_tells_what_comes_back(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    env = environment(tmp_path / "home", make(tmp_path / "package"))
    env["STILLROOM_TICKET_KEY"] = "a key that is long enough"
    report = tmp_path / "report.json"
    with serving("serving.service:Stillroom", ROOT, env) as client:
        command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{client.base_url}/docs.json"]
        bounds = ["--phases", "examples,coverage,fuzzing", "-n", "15", "--seed", "7", "--generation-database", "none"]
        output = ["--report-json-path", str(report), "--no-color"]
        whole = [*command, "--checks", ",".join(CHECKS), *bounds, *output]
        done = subprocess.run(whole, cwd=tmp_path, capture_output=True, text=True, timeout=600)
        told = client.get("/metrics").text
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    ran = json.loads(report.read_text())
    assert ran["complete"] and ran["operations"]["tested"] == ran["operations"]["total"] > 10
    assert ran["test_cases"]["generated"] > 500, "a run that tested nothing would pass too"
    answered = [line for line in told.splitlines() if line.startswith('stillroom_requests_total{status="200"')]
    assert answered, "some of what it sent was answered"
    assert 'stillroom_requests_total{status="5' not in told
