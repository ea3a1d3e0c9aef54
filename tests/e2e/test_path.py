"""From a plan to a served winner and back, as the README says: run, promote, serve, ask, roll back."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import httpx
import pytest

from tests.integration.conftest import Checkout, environment, new_checkout

pytestmark = pytest.mark.e2e
__all__ = ["new_checkout"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def done(new_checkout: Callable[[str], Checkout]) -> Checkout:
    checkout = new_checkout("path")
    checkout.stillroom("run")
    return checkout


def test_promote_refuses_naming_the_gate_and_nothing_is_served(done: Checkout) -> None:
    gates = done.root / "params/promotion.yaml"
    before = gates.read_text()
    gates.write_text("at_least: {accuracy: 1.0}\nat_most: {size_mb: 0.000001}\n")
    text = done.stillroom("promote", ok=False)
    assert "accuracy" in text and "size_mb" in text and "Traceback" not in text
    assert "nothing" in done.stillroom("serve", "--port", str(free_port()), ok=False)
    assert "Traceback" not in done.stillroom("rollback", ok=False)
    gates.write_text("at_most: {size_mb: 1.0}\n")
    assert "champion" in done.stillroom("promote")
    gates.write_text(before)


def test_the_champion_answers_beside_the_full_model_and_stops_on_a_signal(done: Checkout) -> None:
    port = free_port()
    command = [sys.executable, "-m", "flows.cli", "serve", "--port", str(port), "--admin-port", str(free_port())]
    server = subprocess.Popen(command, cwd=done.root, env=environment(), start_new_session=True)
    try:
        base = f"http://127.0.0.1:{port}"
        wait_ready(base, server)
        about = json.loads((done.root / "results/package/manifest.json").read_text())
        picture = [[[0] * 8] * 8]
        seen = set()
        for user in range(200):
            answer = httpx.post(f"{base}/predict", json={"inputs": [picture], "user_id": f"u{user}"})
            assert answer.status_code == 200, answer.text
            body = answer.json()
            seen.add((body["variant"], body["model"]))
            assert abs(sum(body["probabilities"][0]) - 1) < 1e-3
        assert seen == {("control", about["control"]), ("treatment", about["treatment"])}
        assert httpx.post(f"{base}/predict", json={"inputs": [[1, 2]]}).status_code == 422
        assert "stillroom_requests_total" in httpx.get(f"{base}/metrics").text
    finally:
        os.kill(server.pid, signal.SIGTERM)
        server.wait(30)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/readyz")


def wait_ready(base: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert server.poll() is None, "the server ended"
        try:
            if httpx.get(f"{base}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.3)
    raise AssertionError("the server was not ready within 90 s")
