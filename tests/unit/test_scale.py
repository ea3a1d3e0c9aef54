"""Compound scaling: the largest network within the budget, width and depth in the paper's proportion."""

from __future__ import annotations

import copy
import math
import pkgutil
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
import torch
from pydantic import ValidationError

import tasks.models
from tasks.core import scaling
from tasks.core.contract import Network
from tasks.core.errors import TechniqueError
from tasks.core.scaling import Factors
from tasks.core.shape import build_like, count_macs, count_parameters, example, spec_of
from tasks.techniques import scale
from tests.unit import tiny

FIT = {"epochs": 1, "lr": 0.05, "batch": 32}
RESNET = {"arch": "resnet", "depth": 14, "width": 8}


def untrained(block: dict[str, Any]) -> Network:
    torch.manual_seed(0)
    return build_like(block, tiny.pictures())


def fitted(block: dict[str, Any], **params: Any) -> tuple[dict[str, Any], Any]:
    return scale.fitting(untrained(block), tiny.pictures(), scale.Params(**FIT, **params))


@pytest.mark.parametrize("threshold", [-7.3, -0.01, 0.0, 0.4, 3.0, 5.77])
def test_bisection_finds_the_largest_phi_within_the_budget(threshold: float) -> None:
    asked: list[float] = []

    def cost(phi: float) -> float:
        asked.append(phi)
        return 2.0 if phi > threshold else 1.0

    found = scaling.largest(cost, 1.5)
    assert found is not None and threshold - 2**-12 <= found <= threshold
    assert max(asked) <= max(1.0, threshold + 1), "a network far above the budget was built"


def test_a_budget_that_nothing_meets_and_one_that_everything_meets() -> None:
    assert scaling.largest(lambda phi: 2.0, 1.0) is None
    assert scaling.largest(lambda phi: 1.0, 1.0) == 16.0


def test_a_step_of_phi_doubles_the_work_as_in_the_paper() -> None:
    """Equation 3 with resolution fixed at 1; and width to depth as the paper's 1.1 to 1.2."""
    params = scale.Params(**FIT, ratio=2)
    assert params.depth_base * params.width_base**2 == pytest.approx(2, rel=0.02)
    proportion = math.log(params.depth_base) / math.log(params.width_base)
    assert proportion == pytest.approx(math.log(1.2) / math.log(1.1), rel=0.02)


@pytest.mark.parametrize("budget", ["macs", "parameters", "size_kb"])
@pytest.mark.parametrize("ratio", [0.3, 2.5])
def test_the_budget_is_kept_and_the_next_size_would_break_it(budget: str, ratio: float) -> None:
    block, facts = fitted(RESNET, budget=budget, ratio=ratio)
    limit = facts[f"{budget}_before"] * ratio
    network = untrained(block)
    inputs = example(spec_of(tiny.pictures()), 1)
    counted = {"macs": count_macs(network.module, inputs), "parameters": count_parameters(network.module)}
    counted["size_kb"] = counted["parameters"] * 4 / 1000
    assert counted[budget] == facts[f"{budget}_after"] <= limit
    phi = facts["phi"] + 0.001
    larger = scaling.scaled(RESNET, tasks.models.resnet.build, tasks.models.resnet.SCALES, Factors(1.19**phi, 1.4**phi))
    assert scale.costs(larger, tiny.pictures())[budget] > limit
    assert facts["axes"] == ["width", "depth"] and facts["model"] == block


def test_depth_and_width_move_together() -> None:
    block, _ = fitted(RESNET, ratio=4)
    assert block["depth"] > 14 and block["width"] > 8
    block, facts = fitted(tiny.CNN, at_most=1e5)
    assert set(block) == {"arch", "width"} and facts["axes"] == ["width"]


def test_a_parameter_left_out_starts_from_its_default() -> None:
    assert fitted({"arch": "small_cnn"}, ratio=0.5) == fitted({"arch": "small_cnn", "width": 32}, ratio=0.5)


@pytest.mark.parametrize("arch", sorted(m.name for m in pkgutil.iter_modules(tasks.models.__path__)))
def test_every_declared_axis_makes_a_network_larger_and_smaller(arch: str) -> None:
    model = import_module(f"tasks.models.{arch}")
    for name, axis in getattr(model, "SCALES", {}).items():
        sizes = []
        for factor in (0.4, 1.0, 2.5):
            block = scaling.scaled({"arch": arch}, model.build, {name: axis}, Factors(factor, factor))
            sizes.append(scale.costs(block, tiny.pictures())["parameters"])
        # A resnet of depth 8 cannot be shallower.
        assert name in ("width", "depth") and sizes[0] <= sizes[1] < sizes[2], (name, sizes)


def test_counting_makes_no_weights_and_draws_no_random_number() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    assert scale.costs({"arch": "small_cnn", "width": 4096}, tiny.pictures())["parameters"] > 1e9
    assert torch.equal(torch.get_rng_state(), before)


def test_a_trained_parent_is_imitated() -> None:
    data, params = tiny.pictures(), scale.Params(**{**FIT, "epochs": 8, "alpha": 0.9, "ratio": 0.5})
    torch.manual_seed(1)
    outcome = scale.apply(tiny.trained(), data, params)
    assert isinstance(outcome.model, Network)
    assert tiny.accuracy(tiny.logits(outcome.model, data), data) > 0.8
    assert count_parameters(outcome.model.module) == outcome.facts["parameters_after"]


def test_what_cannot_be_scaled_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TechniqueError, match="no resnet fits macs 10; the smallest has"):
        fitted(RESNET, at_most=10)
    with pytest.raises(TechniqueError, match=r"leaves .* as it is"):
        fitted(RESNET, ratio=1.0)
    changed = replace(copy.deepcopy(tiny.trained()), changes=({"change": "resize", "modules": {}},))
    with pytest.raises(TechniqueError, match=r"the parent was changed \(resize\)"):
        scale.apply(changed, tiny.pictures(), scale.Params(**FIT, ratio=0.5))
    monkeypatch.delattr(import_module("tasks.models.small_cnn"), "SCALES")
    with pytest.raises(TechniqueError, match=r"small_cnn\.py has no SCALES"):
        fitted(tiny.CNN, ratio=0.5)


@pytest.mark.parametrize(("params", "says"), [({}, "exactly one of"), ({"ratio": 1, "at_most": 1}, "exactly one of")])
def test_exactly_one_limit(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        scale.Params(**FIT, **params)
    with pytest.raises(ValidationError, match="nothing grows"):
        scale.Params(**FIT, ratio=2, width_base=1, depth_base=1)
