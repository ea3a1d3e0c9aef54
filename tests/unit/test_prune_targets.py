"""Pruning towards a target: MACs, measured time, rounds, one ranking, own shares for layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tasks.core.contract import Outcome
from tasks.core.errors import TechniqueError
from tasks.core.findings import Interval
from tasks.core.latency import Latency, Race
from tasks.core.shape import count_macs, count_parameters, example, spec_of
from tasks.techniques import prune
from tests.unit import tiny


def pruned(**params: Any) -> Outcome:
    torch.manual_seed(0)
    return prune.apply(tiny.trained(), tiny.pictures(), prune.Params(**{"round_to": 1} | params))


@pytest.mark.parametrize("scope", ["local", "global"])
@pytest.mark.parametrize("importance", ["l1", "l2", "taylor", "bn_scale", "random"])
def test_macs_end_just_under_the_target(scope: str, importance: str) -> None:
    module = pruned(macs_ratio=0.5, scope=scope, importance=importance).model.module
    inputs = example(spec_of(tiny.pictures()), 1)
    share = count_macs(module, inputs) / count_macs(tiny.trained().module, inputs)
    assert 0.4 < share <= 0.5


def test_a_target_that_cannot_be_reached_says_how_near_it_comes() -> None:
    with pytest.raises(TechniqueError, match=r"macs_ratio 0.01: cannot be reached.*round_to 4.*0\.\d+ of the parent"):
        pruned(macs_ratio=0.01, round_to=4)


def test_rounds_remove_the_same_share_each_and_recover_after_each() -> None:
    facts = pruned(ratio=0.75, rounds=2, recover={"epochs": 1, "lr": 0.05, "batch": 32}).facts
    rounds: Any = facts["rounds"]
    assert [told["ratio"] for told in rounds] == [0.5, 0.75]
    assert all("val_accuracy" in told and told["epochs_trained"] == 1 for told in rounds)
    assert facts["units"] == {"body.0.0": [8, 2], "body.2.0": [16, 4], "body.4.0": [32, 8]}
    assert facts["val_accuracy"] == rounds[-1]["val_accuracy"]


def test_rounds_towards_macs_go_there_in_equal_steps() -> None:
    rounds: Any = pruned(macs_ratio=0.25, rounds=2).facts["rounds"]
    assert 0.4 < rounds[0]["macs_ratio"] <= 0.5 and 0.2 < rounds[1]["macs_ratio"] <= 0.25


def test_one_ranking_takes_unequal_shares_but_leaves_every_layer_something() -> None:
    units: Any = pruned(ratio=0.9, scope="global", importance="bn_scale", round_to=2).facts["units"]
    assert all(left >= 2 for _, left in units.values())
    assert len({left / before for before, left in units.values()}) > 1


def test_layers_have_their_own_shares() -> None:
    facts = pruned(ratio=0.5, layers={"body.2.*": 0, "body.4.0": 0.25}).facts
    assert facts["units"] == {"body.0.0": [8, 4], "body.2.0": [16, 16], "body.4.0": [32, 24]}
    left: Any = facts["layers_left_alone"]
    assert left["body.2.0"] == "`layers` leaves it"
    assert pruned(layers={"body.4.0": 0.5}).facts["units"] == {
        "body.0.0": [8, 8],
        "body.2.0": [16, 16],
        "body.4.0": [32, 16],
    }


def test_a_pattern_that_fits_nothing_is_named_with_the_nearest() -> None:
    with pytest.raises(TechniqueError, match=r"no layer 'body.2.00' can get narrower.*did you mean 'body\.2\.0'"):
        pruned(layers={"body.2.00": 0.5})


@pytest.mark.parametrize("wrong", [{}, {"ratio": 0.5, "macs_ratio": 0.5}, {"macs_ratio": 0.5, "latency_ratio": 0.5}])
def test_exactly_one_measure(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="exactly one of ratio, macs_ratio, latency_ratio"):
        prune.Params(**wrong)


@pytest.mark.parametrize("asked", [{"heads": 0.5}, {"ffn": 0.5}])
def test_heads_of_a_network_without_attention_are_refused(asked: dict[str, float]) -> None:
    with pytest.raises(TechniqueError, match=r"found no (heads|ffn) in the network; allowed: transformers"):
        pruned(**asked)


def test_time_is_searched_with_what_the_clock_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is replaced by the count of parameters, so that the answer is known."""
    whole = count_parameters(tiny.trained().module)

    def start(self: Race, *_: object) -> None:
        pass

    def run(self: Race, candidate: Any, rounds: int = 1) -> Latency:
        ratio = count_parameters(candidate.module) / whole
        return Latency(2.0, 2.0 * ratio, Interval(value=ratio, low=ratio - 0.02, high=ratio + 0.02))

    monkeypatch.setattr(Race, "__init__", start)
    monkeypatch.setattr(Race, "run", run)
    outcome = pruned(latency_ratio=0.4)
    share = count_parameters(outcome.model.module) / whole
    facts: Any = outcome.facts["latency"]
    assert 0.3 < share <= 0.38, "the interval's upper end is what must be within the target"
    assert facts["ratio"] == pytest.approx(share, abs=1e-4) and facts["within_target"]
    assert facts["ratio_interval"] == pytest.approx([share - 0.02, share + 0.02], abs=1e-4)
    assert facts["target_ratio"] == 0.4 and "machine" in facts["how"]


@pytest.mark.integration
def test_time_is_really_measured() -> None:
    outcome = pruned(latency_ratio=0.95, latency_batch=32)
    facts: Any = outcome.facts["latency"]
    rounds: Any = outcome.facts["rounds"]
    low, high = facts["ratio_interval"]
    assert low <= facts["ratio"] <= high and facts["within_target"] == (high <= 0.95)
    assert facts["parent_ms"] > 0 and facts["pruned_ms"] > 0 and facts["batch"] == 32
    assert rounds[0]["latency_ratio"] <= 0.95 and len(rounds[0]["tried"]) <= 8
