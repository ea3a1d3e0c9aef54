"""A server that is told to go: not ready first, every request in flight answered, then gone."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from tests import made_package
from tests.e2e.test_serve import ROOT, environment, ready, serving

pytestmark = pytest.mark.e2e
IMAGES = np.random.default_rng(6).integers(0, 256, (2, 1, 8, 8), dtype=np.uint8)
BODY = json.dumps({"inputs": IMAGES.tolist()}).encode()


def test_it_is_not_ready_first_answers_what_is_in_flight_and_ends(tmp_path: Path) -> None:
    limits = {**made_package.ROLLOUT["limits"], "drain_s": 3.0}  # type: ignore[dict-item]
    package = made_package.make(tmp_path / "package", limits=limits)
    with serving("serving.service:Stillroom", ROOT, environment(tmp_path / "home", package)) as client:
        port = client.base_url.port
        (parent,) = {p for p in psutil.process_iter(["cmdline"]) if f"{port}" in (p.info["cmdline"] or [])}
        family = [parent, *parent.children(recursive=True)]
        late = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        late.putrequest("POST", "/predict")
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(BODY)))):
            late.putheader(name, value)
        late.endheaders(BODY[:20])
        parent.terminate()
        end = time.monotonic() + 10
        while ready(client):
            assert time.monotonic() < end
            time.sleep(0.02)
        with httpx.Client(base_url=client.base_url, trust_env=False) as other:
            answer = other.post("/predict", content=BODY, headers={"Content-Type": "application/json"})
        assert answer.status_code == 200, "one that comes meanwhile is answered"
        time.sleep(3.5)  # uvicorn has closed the door by now, and waits for the one that is in flight
        late.send(BODY[20:])
        got = late.getresponse()
        assert got.status == 200
        assert np.allclose(json.loads(got.read())["probabilities"], made_package.expected("control", IMAGES), atol=1e-5)
        late.close()
        _, alive = psutil.wait_procs(family, timeout=20)
        assert not alive
