"""A real service and a real keeper under load: a good treatment arrives, a sabotaged one is taken back, at no loss."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests import made_package
from tests.e2e.load import IMAGES, Load
from tests.e2e.test_serve import ROOT, environment, serving
from tests.keeper_process import Keeper, until
from tests.unit.serving.keeper import traffic

pytestmark = pytest.mark.e2e
LIMITS = {"p95_ms": 2500, "error_rate": 0.05, "disagreement": 0.05, "min_rows": 100, "hold_s": 1}
AGREEING, DISAGREEING = (
    next(
        seed
        for seed in count(1)
        if all(
            (
                made_package.expected("control", IMAGES, seed=seed).argmax(1)
                == made_package.expected("treatment", IMAGES, seed=seed).argmax(1)
            )
            == wanted
        )
    )
    for wanted in (True, False)
)  # packages whose models agree on all rows that the load sends, and on none


def package(folder: Path, seed: int) -> Path:
    settings = {"judge": LIMITS, "stages": [0.5, 0.9], "limits": {**made_package.ROLLOUT["limits"], "timeout_s": 30}}
    return traffic.package(folder, seed=seed, **settings).folder


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    made = Keeper(tmp_path, package(tmp_path / "good", AGREEING))
    yield made
    made.kill()
    made.store.close()


def test_a_good_treatment_arrives_and_a_sabotaged_one_is_taken_back(keeper: Keeper, tmp_path: Path) -> None:
    until(keeper.up, "the first row")
    bad = package(tmp_path / "bad", DISAGREEING)
    env = {**environment(tmp_path / "home", tmp_path / "good"), "STILLROOM_CONTROL": keeper.url}
    seeds = {1: AGREEING, 2: AGREEING, 3: AGREEING, 4: DISAGREEING, 5: DISAGREEING}
    with serving("serving.service:Stillroom", ROOT, env) as client, Load(str(client.base_url), seeds) as load:
        until(lambda: keeper.row.mode == "settled", "the good one arrives")
        assert (keeper.row.generation, keeper.row.share) == (3, 0.9)
        keeper.post("/package", expected=3, package=str(bad), version="8")
        until(lambda: keeper.row.mode == "rolled_back", "the sabotaged one is taken back")
        assert keeper.row.generation == 5
        until(lambda: load.answered[5, "control"] > 20, "answers after the rollback")
        assert client.get("/info").json()["treatment_share"] == 0
    assert not load.faults, load.faults[:3]
    assert load.lost == 0 and load.answered[4, "treatment"] and not load.answered[5, "treatment"]
    (event,) = [event for event in keeper.store.events() if event.kind == "rollback"]
    assert "disagreement" in event.reason and float(event.numbers["disagreement.count"]) >= 3
    assert event.numbers["disagreement.count"] == event.numbers["disagreement.rows"], "they agree on no row"
