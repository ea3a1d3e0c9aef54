"""The nightly loop whole, with real servers, while users are answered and none of their requests is lost.

Drifting traffic on a live service starts a retraining on a Prefect server; a better candidate is promoted and swapped
in; a sabotaged one is refused at the gate; one that was let past the gate is taken back on live evidence.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from flows.environment import quiet
from tests.e2e.test_path import free_port
from tests.integration.conftest import Checkout, environment, new_checkout
from tests.integration.prefect_server import ask, wait_until
from tests.integration.test_schedule import api, deployments

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]
__all__ = ["api", "new_checkout"]
WITHIN_S = 600
PLAN = """
seed: 7
threads: 1
data: {source: npz, path: data/digits.npz, val_share: 0.2, test_share: 0.25, calibration_rows: 64}
model: {arch: small_cnn, width: 8}
variants:
  baseline: {from: data, technique: train, epochs: 8, lr: 0.05}
  small: {from: baseline, technique: quantize, scheme: static}
bench: {threads: [1], batch: [1], rounds: 5, round_ms: 1, precision: 0.5, budget_s: 2}
choose: {reference: baseline, at_most: {accuracy_drop: 0.95}, prefer: size_mb}
"""
SABOTAGED = PLAN.replace(
    "  small: {from: baseline,",
    "  swapped: {from: baseline, technique: swap_classes, classes: [3, 5]}\n  small: {from: swapped,",
)
SWAP = '''
"""Answers one class where the other is right: a fault that no shape, size or speed shows."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.core.contract import Params as Plain

if TYPE_CHECKING:
    from tasks.core.contract import Data, Network, Outcome

TAKES = "torch"
GIVES = "torch"


class Params(Plain):
    """Which two."""

    classes: tuple[int, int]


def apply(parent: Network, data: Data, params: Params) -> Outcome:
    """`parent` with two rows of its last layer changed for each other."""
    from torch import nn, no_grad

    from tasks.core.contract import Outcome

    module = copy.deepcopy(parent.module)
    last = [layer for layer in module.modules() if isinstance(layer, nn.Linear)][-1]
    one, other = params.classes
    with no_grad():
        for weights in (last.weight, last.bias):
            weights[[one, other]] = weights[[other, one]].clone()
    return Outcome(replace(parent, module=module), {"swapped": [one, other]})
'''
GATES = "at_most: {accuracy_drop: 0.05}\n"
OPEN = "at_most: {accuracy_drop: 0.95}\n"
SCHEDULE = 'cron: "0 2 1 1 *"\nworkers: 2\npromote: true\nwatch_s: 240\nwebhook: "{webhook}"\n'
ROLLOUT = """
treatment_share: 0.5
workers: 1
shadow: {{share: 1.0, queue: 4096}}
stages: [0.5, 0.9]
judge: {{p95_ms: 5000, disagreement: 0.2, fast_disagreement: 0.5, error_rate: 0.2, accuracy_drop: 0.05,
         min_rows: 600, hold_s: 1}}
drift: {{psi: 0.25, ks: 0.15, min_rows: 200}}
notify: {{prefect_api: "{api}"}}
"""


def pictures(inverted_share: float) -> tuple[Any, Any]:
    """Digits as uint8 (N, 8, 8) and their labels; a share of them inverted, black on white."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = (found.images * 255 / 16).astype(np.uint8)
    inverted = np.random.default_rng(3).random(len(images)) < inverted_share
    images[inverted] = 255 - images[inverted]
    return images, found.target.astype(np.int64)


@dataclass
class Traffic:
    """Users with pictures, and labels that come back for every answer. `share` of the pictures are inverted."""

    base: str
    share: float = 0.0
    lost: list[str] = field(default_factory=list)
    right: Counter[tuple[str, bool, bool]] = field(default_factory=Counter)  # version, inverted, right

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._images, self._labels = pictures(0.0)
        self._threads = [threading.Thread(target=self._send, args=(i,), daemon=True) for i in range(2)]

    @contextmanager
    def going(self) -> Iterator[Traffic]:
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(60)

    def accuracy(self, generation: int, *, inverted: bool) -> float:
        right, wrong = (self.right[str(generation), inverted, ok] for ok in (True, False))
        assert right + wrong >= 50, "too few answers to tell"
        return right / (right + wrong)

    def _send(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        with httpx.Client(base_url=self.base, timeout=60, trust_env=False) as client:
            while not self._stop.wait(0.01):
                i, inverted = int(rng.integers(len(self._images))), bool(rng.random() < self.share)
                picture = 255 - self._images[i] if inverted else self._images[i]
                body = {"inputs": [[picture.tolist()]], "user_id": f"u{rng.integers(1000)}"}
                try:
                    answer = client.post("/predict", json=body)
                except httpx.TransportError as e:
                    self.lost.append(repr(e))
                    continue
                if answer.status_code != 200:
                    self.lost.append(f"{answer.status_code} {answer.text[:200]}")
                    continue
                label = str(self._labels[i])
                ok = answer.json()["labels"] == [label]
                self.right[answer.headers["X-Stillroom-Generation"], inverted, ok] += 1
                told = {"ticket": answer.headers["X-Stillroom-Ticket"], "labels": [label]}
                back = client.post("/feedback", json=told)
                if back.status_code != 200:
                    self.lost.append(f"feedback: {back.status_code} {back.text[:200]}")


@dataclass
class House:
    """A checkout with everything running over it."""

    checkout: Checkout
    api: str
    base: str
    keeper: str
    told: list[dict[str, Any]]
    source: Path

    def env(self) -> dict[str, str]:
        return {**environment(), "PREFECT_API_URL": self.api, "STILLROOM_KEEPER": self.keeper}

    def stillroom(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "flows.cli", *arguments]
        done = subprocess.run(
            command, cwd=self.checkout.root, env=self.env(), capture_output=True, text=True, timeout=WITHIN_S
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def write(self, file: str, text: str) -> None:
        (self.checkout.root / file).write_text(text, encoding="utf-8")

    def row(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.keeper}/state", trust_env=False).json()["state"]
        return found

    def runs(self) -> list[dict[str, Any]]:
        """The deployment's runs that its schedule did not plan, without those that found another one at work."""
        (deployment,) = deployments(self.api)
        asked = {"deployments": {"id": {"any_": [deployment["id"]]}}}
        found = [run for run in ask(self.api, "/flow_runs/filter", asked) if not run["auto_scheduled"]]
        return [run for run in found if run["state_type"] in ("RUNNING", "COMPLETED", "FAILED", "CRASHED")]

    def start_run(self) -> str:
        """By hand, as `prefect deployment run retrain/nightly` does."""
        (deployment,) = deployments(self.api)
        made = ask(self.api, f"/deployments/{deployment['id']}/create_flow_run", {})
        return str(made["id"])

    def ended(self, run: str) -> dict[str, Any]:
        """The run once it is over."""

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = ask(self.api, f"/flow_runs/{run}")
            return found if found["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

        found: dict[str, Any] = wait_until(f"the end of run {run}", WITHIN_S, look)
        return found

    def champion(self) -> str:
        return self.checkout.call("-m", "tasks", "fetch").strip().splitlines()[-1].rpartition("/")[2]


@contextmanager
def process(command: list[str], env: dict[str, str], cwd: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours, and all that it started, stopped at the end."""
    with log.open("wb") as out:
        started = subprocess.Popen(command, cwd=cwd, env=env, stdout=out, stderr=out)
        try:
            yield started
        finally:
            family = psutil.Process(started.pid).children(recursive=True) if started.poll() is None else []
            if started.poll() is None:
                os.kill(started.pid, signal.SIGINT)
            try:
                started.wait(60)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait(30)
            for left in psutil.wait_procs(family, timeout=20)[1]:
                left.kill()


@contextmanager
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address, and what was posted to it."""
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the test's output."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", told
    server.shutdown()
    server.server_close()


def furnish(checkout: Checkout, api: str, hook: str) -> Path:
    """Plan, gates, rollout and data of the first night; the file that the data come from."""
    source = checkout.root.parent / "source.npz"
    x, y = pictures(0.0)
    np.savez(source, x_train=x, y_train=y)
    checkout.dvc("import-url", "-q", str(source), "data/digits.npz")
    files = {
        "plan": PLAN,
        "promotion": GATES,
        "rollout": ROLLOUT.format(api=api),
        "schedule": SCHEDULE.format(webhook=hook),
    }
    for name, text in files.items():
        (checkout.root / f"params/{name}.yaml").write_text(text, encoding="utf-8")
    return source


@pytest.fixture(scope="module")
def house(new_checkout: Callable[[str], Checkout], api: str) -> Iterator[House]:
    checkout = new_checkout("nightly")
    port, admin = free_port(), free_port()
    with webhook() as (hook, told):
        source = furnish(checkout, api, hook)
        found = House(checkout, api, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}", told, source)
        found.stillroom("run", "--no-preflight")
        found.stillroom("promote")
        found.stillroom("schedule")
        serve = [sys.executable, "-m", "flows.cli", "serve", "--port", str(port), "--admin-port", str(admin)]
        work = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "stillroom", "--name", "night"]
        home = {**quiet(), "PREFECT_HOME": str(checkout.root / ".stillroom/prefect")}
        with (
            process(serve, found.env(), checkout.root, checkout.root.parent / "serve.log"),
            process(work, {**home, **found.env()}, checkout.root, checkout.root.parent / "worker.log"),
        ):
            wait_until("the service", 120, lambda: answers(f"{found.base}/readyz"))
            wait_until("the keeper", 60, lambda: answers(f"{found.keeper}/healthz"))
            yield found


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def traffic(house: House) -> Iterator[Traffic]:
    with Traffic(house.base).going() as found:
        yield found


def test_usual_traffic_starts_nothing(house: House, traffic: Traffic) -> None:
    wait_until("some hundred answers", 120, lambda: sum(traffic.right.values()) > 400)
    assert house.row()["version"] == "1"
    assert house.runs() == []


def test_drift_has_a_better_candidate_trained_promoted_and_served(house: House, traffic: Traffic) -> None:
    x, y = pictures(0.5)
    np.savez(house.source, x_train=x, y_train=y)  # what was collected meanwhile, and labelled
    traffic.share = 0.5
    (run,) = wait_until("a run", 180, house.runs)
    done = house.ended(run["id"])
    assert done["state_type"] == "COMPLETED", done["state"]["message"]
    assert house.champion() == "2"
    assert house.row()["version"] == "2"
    wait_until("answers", 60, lambda: traffic.right[str(house.row()["generation"]), True, True] > 60)
    assert traffic.accuracy(house.row()["generation"], inverted=True) > 0.8
    assert traffic.lost == []
    assert house.told[-1]["outcome"] == "Completed"


def test_a_sabotaged_candidate_is_refused_at_the_gate(house: House, traffic: Traffic) -> None:
    house.write("tasks/techniques/swap_classes.py", SWAP)
    house.write("params/plan.yaml", SABOTAGED)
    done = house.ended(house.start_run())
    assert done["state_type"] == "FAILED"
    assert "accuracy_drop" in done["state"]["message"] and "allowed <= 0.05" in done["state"]["message"]
    assert house.champion() == "2" and house.row()["version"] == "2"
    assert house.told[-1]["outcome"] == "Failed" and "accuracy_drop" in house.told[-1]["message"]
    assert traffic.lost == []


def test_one_that_was_let_past_the_gate_is_taken_back_on_live_evidence(house: House, traffic: Traffic) -> None:
    house.write("params/promotion.yaml", OPEN)
    done = house.ended(house.start_run())
    assert done["state_type"] == "FAILED"
    assert "was rolled back by" in done["state"]["message"], done["state"]["message"]
    wait_until("the champion before", 60, lambda: house.champion() == "2")
    wait_until("it is served", 60, lambda: house.row()["version"] == "2")
    assert "was rolled back by" in house.told[-1]["message"]
    assert traffic.lost == []
