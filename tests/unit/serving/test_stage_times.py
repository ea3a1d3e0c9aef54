"""The parts of a request's time, by a clock that only goes on where the test says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import REGISTRY

from serving import answer, metrics
from serving.answer import Answered, Case, Reply, finish, prepare
from serving.ask import Headers
from serving.engine import Engine
from serving.inputs import Asked
from serving.live import Live
from serving.package import read
from serving.predict import Predict
from serving.refusal import Refused
from serving.shadow import Shadow
from serving.shapes import Shadow as Settings
from tests import made_package

BODY = json.dumps({"inputs": np.zeros((2, 8, 8), np.uint8).tolist()}).encode()
STAGES = ("wait", "decode", "network", "encode")


class Clock:
    """Stands still by itself."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def perf_counter(self) -> float:
        return self.now_s


class Slow(Predict):
    """Takes 3 s to read and 5 s to write."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def read(self, live: Live, headers: Headers, body: bytes) -> Asked:
        self._clock.now_s += 3
        return super().read(live, headers, body)

    def write(self, asked: Asked, answered: Answered) -> Reply:
        self._clock.now_s += 5
        return super().write(asked, answered)


def told(end: str) -> dict[str, float]:
    found = {
        stage: REGISTRY.get_sample_value(
            f"stillroom_stage_duration_seconds_{end}", {"variant": "treatment", "stage": stage}
        )
        for stage in STAGES
    }
    return {stage: value or 0.0 for stage, value in found.items()}


def test_every_part_is_timed_and_waiting_is_what_lies_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live = Live.of(Engine(read(made_package.make(tmp_path / "package"))))
    clock = Clock()
    monkeypatch.setattr(answer, "time", clock)
    monkeypatch.setattr(metrics, "ONE_IN", 1)
    infer = live.engine.infer

    def slow(*given: Any) -> Any:
        clock.now_s += 7
        return infer(*given)

    monkeypatch.setattr(live.engine, "infer", slow)
    before, calls = told("sum"), told("count")
    case = Case(live, Slow(clock), {}, BODY, "treatment", clock.now_s)
    clock.now_s += 1  # for a place on the event loop
    prepare(case)
    clock.now_s += 10  # for a thread
    finish(case, Shadow(Settings(share=0)))
    taken = {stage: after - before[stage] for stage, after in told("sum").items()}
    assert taken["wait"] == pytest.approx(11) and taken["decode"] == pytest.approx(3)
    assert taken["encode"] == pytest.approx(5) and taken["network"] < 5, "its own clock, around the network alone"
    assert {stage: after - calls[stage] for stage, after in told("count").items()} == dict.fromkeys(STAGES, 1)
    assert live.counts.tally().treatment.latency_sum_s == pytest.approx(1 + 3 + 10 + 7 + 5)


def test_of_four_requests_one_tells_its_parts_and_all_that_of_the_network(tmp_path: Path) -> None:
    live = Live.of(Engine(read(made_package.make(tmp_path / "package"))))
    calls = told("count")
    for _ in range(8):
        answer.whole(Case(live, Predict(), {}, BODY, "treatment", 0.0), Shadow(Settings(share=0)))
    assert [after - calls[stage] for stage, after in told("count").items()] == [2, 2, 8, 2]


def test_what_is_refused_has_no_parts(tmp_path: Path) -> None:
    live = Live.of(Engine(read(made_package.make(tmp_path / "package"))))
    calls = told("count")
    with pytest.raises(Refused, match="inputs"):
        prepare(Case(live, Predict(), {}, b"{}", "treatment", 0.0))
    assert told("count") == calls
