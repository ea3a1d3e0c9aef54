"""A snapshot: what it takes from the row, and that it cannot change."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from serving.control.state import State
from serving.engine import Engine
from serving.live import Live
from serving.package import read
from serving.shapes import Rollout
from serving.web import Web
from tests import made_package


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(read(made_package.make(tmp_path_factory.mktemp("live") / "package")))


def test_without_a_row_the_package_says_what_is_served(engine: Engine) -> None:
    live = Live.of(engine)
    assert (live.generation, live.share, live.salt, live.version) == (0, 0.5, "test", "candidate")
    assert live.role(None) == "control"
    assert {live.role(f"u{i}") for i in range(50)} == {"control", "treatment"}


def test_the_row_says_the_share_and_each_generation_counts_anew(engine: Engine) -> None:
    row = State(generation=7, package="p", version="4", share=1.0, by="test")
    live = Live.of(engine, row)
    assert (live.generation, live.share, live.version) == (7, 1.0, "4")
    assert {live.role(f"u{i}") for i in range(50)} == {"treatment"}
    live.counts.refused(None)
    assert Live.of(engine, row.next(by="a", reason="", since_s=0.0)).counts.tally().refused == 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        live.share = 0.0  # type: ignore[misc]


def test_a_face_is_ready_once_it_has_something_to_serve(engine: Engine, tmp_path: Path) -> None:
    rollout: Rollout = engine.package.rollout
    web = Web(rollout)
    assert not web.ready
    live = Live.of(engine)
    web.serve(live)
    assert web.ready and web.live is live
