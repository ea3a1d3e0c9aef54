"""`slim` and `subnet`: every width answers, the best within a budget is found, and what cannot be is refused."""

from __future__ import annotations

import copy
import itertools
from functools import lru_cache
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tasks.core import budget, latency
from tasks.core.contract import Network
from tasks.core.errors import TechniqueError
from tasks.core.evolution import Settings, evolve, front, ranked, reward
from tasks.core.export import export
from tasks.core.findings import Interval
from tasks.core.latency import Latency
from tasks.core.sandwich import open_at, openings
from tasks.core.statistics import recalibrate
from tasks.core.supernet import Choices, Config
from tasks.techniques import slim, subnet
from tests.unit import supernets, tiny

FIT: dict[str, Any] = {"epochs": 4, "lr": 0.05, "batch": 32}


@lru_cache
def _slimmed() -> slim.Outcome:  # type: ignore[name-defined]
    torch.manual_seed(3)
    return slim.apply(tiny.trained(), tiny.pictures(), slim.Params(**FIT))


def cut(parent: Network | None = None, **params: Any) -> subnet.Outcome:  # type: ignore[name-defined]
    torch.manual_seed(3)
    return subnet.apply(parent or copy.deepcopy(_slimmed().model), tiny.pictures(), subnet.Params(**params))


def test_every_width_answers_well_where_a_plain_network_does_not() -> None:
    found = _slimmed().facts["sub_networks"]
    assert list(found) == ["width 1", "width 0.75", "width 0.5", "width 0.25", "smallest"]
    assert all(one["val_accuracy"] > 0.9 for one in found.values())
    space = supernets.space_for(tiny.trained())
    plain = slim.measured(tiny.trained(), tiny.pictures(), space)["width 0.25"]
    assert plain["val_accuracy"] < 0.9 * found["width 0.25"]["val_accuracy"]  # type: ignore[index,call-overload]


def test_the_statistics_of_norms_are_those_of_the_rows() -> None:
    network, data = supernets.untrained(tiny.CNN), tiny.pictures()
    first = network.module.body[0]  # type: ignore[index]
    assert recalibrate(network.module, data.split("calibration")) == 3
    with torch.no_grad():
        x = (tiny.inputs(data, "calibration")[0].float() - 60) / 50
        out = first[0](x)
    assert torch.allclose(first[1].running_mean, out.mean((0, 2, 3)), atol=1e-4)
    assert torch.allclose(first[1].running_var, out.var((0, 2, 3)), rtol=1e-3)
    assert first[1].momentum == 0.1 and not network.module.training


def test_choices_open_kernels_first_then_depths_then_widths() -> None:
    found = openings(Choices((1.0, 0.5), (1.0, 0.0), (5, 3)))
    assert found == [
        Choices((1.0,), (1.0,), (5, 3)),
        Choices((1.0,), (1.0, 0.0), (5, 3)),
        Choices((1.0, 0.5), (1.0, 0.0), (5, 3)),
    ]
    assert [found.index(open_at(step, 60, 0.5, found)) for step in (0, 9, 10, 20, 59)] == [0, 0, 1, 2, 2]
    assert open_at(0, 60, 0.0, found) == found[-1]


@pytest.mark.parametrize("limit", [0.3, 0.6])
def test_evolution_finds_the_best_that_trying_all_finds(limit: float) -> None:
    """Accuracy and cost are sums over three groups; the optimum is known by trying all 64."""
    network = tiny.trained()
    space = _space(network)
    worth = {1.0: 1.0, 0.75: 0.9, 0.5: 0.7, 0.25: 0.2}

    def cost(config: Config) -> float:
        return sum(w * k for w, k in zip(config.widths, (0.6, 0.3, 0.1), strict=True))

    def accuracy(config: Config) -> float:
        return sum(worth[w] for w in config.widths) / 3

    every = [Config(widths, (), ()) for widths in itertools.product(worth, repeat=3)]
    best = max(accuracy(c) for c in every if cost(c) <= limit)
    tried = evolve(space, cost, accuracy, Settings(limit, 0.0, 200, 0))
    assert ranked(tried, limit, 0.0)[0].accuracy == best
    assert tried == evolve(space, cost, accuracy, Settings(limit, 0.0, 200, 0))
    assert all((t.accuracy is None) == (t.cost > limit) for t in tried) and len(set(tried)) == len(tried)
    line = front(tried)
    assert [t.cost for t in line] == sorted(t.cost for t in line) and line[-1].accuracy == best


def _space(network: Network) -> Any:
    from tasks.core.elasticity import Elasticity

    return Elasticity(widths=(1.0, 0.75, 0.5, 0.25), depths=(1.0,), kernels={}).space(network, tiny.pictures())


def test_the_exponent_makes_cheaper_networks_worth_more() -> None:
    assert reward(0.9, 5, 10, 0.0) == 0.9
    assert reward(0.9, 5, 10, -0.07) == pytest.approx(0.9 * 2**0.07)


def test_a_budget_of_work_is_met_and_a_row_is_repeatable() -> None:
    first, second = cut(macs_ratio=0.4, trials=12), cut(macs_ratio=0.4, trials=12)
    assert first.facts == second.facts and first.model.changes == second.model.changes
    assert first.facts["macs_after"] <= 0.4 * first.facts["macs_before"]
    assert first.facts["val_accuracy_cut"] == tiny.accuracy(tiny.logits(first.model, tiny.pictures()), tiny.pictures())
    assert first.model.changes[-1]["change"] == "resize"


def test_recovery_trains_the_sub_network() -> None:
    facts = cut(macs_ratio=0.2, trials=4, recover={"epochs": 1, "lr": 0.02, "batch": 32}).facts
    assert facts["epochs_trained"] == 1


@pytest.mark.integration
def test_a_budget_of_size_is_met_by_the_file() -> None:
    outcome = cut(size_kb=14, trials=12)
    size = len(export(outcome.model, tiny.pictures()).SerializeToString())
    assert size <= 1000 * outcome.facts["cost"] <= 14_000 and size > 0.9 * 1000 * outcome.facts["cost"]


@pytest.mark.integration
def test_latency_is_measured_beside_the_whole_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "VISIT_MS", 0.1)
    network, data = copy.deepcopy(_slimmed().model), tiny.pictures()
    quick, _ = budget.cost_functions("latency_ratio", network, data, _space(network), 64)
    assert quick(_space(network).greatest()) == 1.0 and quick(_space(network).smallest()) > 0
    monkeypatch.setattr(subnet, "chosen", lambda tried, *_: next(t for t in tried if t.accuracy is not None))
    one = Latency(1.0, 0.4, Interval(value=0.4, low=0.39, high=0.41))
    monkeypatch.setattr(budget.Race, "run", lambda *_: one)
    quick, surer = budget.cost_functions("latency_ratio", network, data, _space(network), 64)
    assert (quick(_space(network).smallest()), surer(_space(network).smallest())) == (0.4, 0.41)
    facts = cut(latency_ratio=0.5, trials=3).facts
    assert facts["cost"] == 0.4 and "another machine" in facts["repeatable"]


def test_a_network_that_only_seemed_fast_enough_is_passed_over() -> None:
    one, two = Config((0.5,), (), ()), Config((0.25,), (), ())
    tried = [subnet_tried(one, 0.4, 0.9), subnet_tried(two, 0.3, 0.8)]
    params = subnet.Params(latency_ratio=0.5)
    assert subnet.chosen(tried, params, {one: 0.6, two: 0.35}.__getitem__) == subnet_tried(two, 0.35, 0.8)
    with pytest.raises(TechniqueError, match="measured again"):
        subnet.chosen(tried, params, {one: 0.6, two: 0.7}.__getitem__)


def subnet_tried(config: Config, cost: float, accuracy: float) -> Any:
    from tasks.core.evolution import Tried

    return Tried(config, cost, accuracy)


def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ({"widths": [0.5]}, {"widths": [1.0]}, {"kernels": [4]}, {"patience": 3}):
        with pytest.raises(ValidationError):
            slim.Params(**{**FIT, **wrong})
    for budgets in ({}, {"macs_ratio": 0.5, "size_kb": 3}):
        with pytest.raises(ValidationError, match="give one of latency_ratio"):
            subnet.Params(**budgets)
    with pytest.raises(TechniqueError, match="must be a row of the technique slim"):
        cut(tiny.trained(), macs_ratio=0.5)
    with pytest.raises(TechniqueError, match="smallest sub-network has"):
        cut(macs_ratio=0.01)
    with pytest.raises(TechniqueError, match="no kernel of the network"):
        slim.apply(tiny.trained("numbers"), tiny.numbers(), slim.Params(**FIT, kernels=(5,)))
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(TechniqueError, match=r"stillroom\[search\]"):
        cut(macs_ratio=0.5)
