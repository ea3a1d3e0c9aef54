"""ODE blocks: the solvers converge as they should, and blocks stand for the units that they say."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from tasks.core import checkpoint
from tasks.core.changes import apply_changes
from tasks.core.contract import Network
from tasks.core.errors import TechniqueError
from tasks.core.export import export, parity
from tasks.core.layers import Normalized, Residual, Sum
from tasks.core.ode import EVALUATIONS, OdeBlock, agreement, integrate, runs
from tasks.core.shape import build_like, count_macs, count_parameters
from tasks.techniques import ode_blocks
from tests.unit import tiny


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("midpoint", 2), ("rk4", 4)])
def test_errors_fall_with_the_order_of_the_solver(solver: str, order: int) -> None:
    """dx/dt = x (1 - x), x(0) = 0.1: x(t) = 1 / (1 + 9 exp(-t))."""
    exact = 1 / (1 + 9 * math.exp(-2))

    def error(steps: int) -> float:
        start = torch.tensor([0.1], dtype=torch.float64)
        return abs(float(integrate(lambda x: x * (1 - x), start, 2, steps, solver)) - exact)

    falls = [math.log2(error(n) / error(2 * n)) for n in (16, 32, 64)]
    assert falls == pytest.approx([order] * 3, abs=0.25)
    assert error(64) < 10 ** -(2 + 1.2 * (order - 1))


def test_solvers_evaluate_as_often_as_they_say() -> None:
    for solver, times in EVALUATIONS.items():
        calls: list[int] = []

        def f(x: torch.Tensor, calls: list[int] = calls) -> torch.Tensor:
            calls.append(1)
            return x

        integrate(f, torch.ones(1), 1, 3, solver)
        assert len(calls) == 3 * times == OdeBlock(Sum(nn.Identity()), 1, 3, solver).evaluations


@pytest.mark.parametrize("kind", [Residual, Sum])
@pytest.mark.parametrize("units", [1, 3])
def test_a_euler_step_is_a_residual_unit(kind: Any, units: int) -> None:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 1))
    unit = (Residual(body, nn.Identity()) if kind is Residual else Sum(body)).double()
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    expected = x
    for _ in range(units):
        expected = unit(expected)
    torch.testing.assert_close(OdeBlock(unit, units, units, "euler")(x), expected, rtol=1e-12, atol=1e-12)


def test_runs_are_alike_in_a_row_and_of_one_shape() -> None:
    def unit(shortcut: nn.Module | None = None) -> nn.Module:
        return Residual(nn.Conv2d(2, 2, 3, padding=1), shortcut or nn.Identity())

    pair = Sum(nn.Conv2d(2, 2, 1))
    chain = nn.Sequential(unit(), unit(), pair, nn.ReLU(), unit(nn.Conv2d(2, 2, 1)), unit(), nn.MaxPool2d(2), unit())
    assert runs(chain, torch.randn(1, 2, 6, 6)) == [["0", "1"], ["2"], ["5"], ["7"]]


def blocks(parent: Network | None = None, **params: Any) -> Any:
    torch.manual_seed(0)
    settings = ode_blocks.Params(**{"epochs": 1, "lr": 0.01, "batch": 32} | params)
    return ode_blocks.apply(parent or tiny.trained("residual"), tiny.pictures(), settings)


@pytest.mark.parametrize(("solver", "steps", "per_row"), [("euler", None, 2), ("midpoint", 1, 2), ("rk4", 3, 12)])
def test_the_facts_tell_what_happened(solver: str, steps: int | None, per_row: int) -> None:
    """One unit of 4 channels: two 3x3 convolutions and norms; every evaluation of it is counted."""
    facts = blocks(solver=solver, steps=steps).facts
    parent = tiny.trained("residual").module
    assert facts["blocks"] == {"body.1": ["body.1", "body.2"]}
    assert facts["units_left_alone"] == dict.fromkeys(["body.4", "body.6"], "1 in a row, min_units is 2")
    assert facts["function_evaluations"] == {"body.1": per_row}
    assert facts["parameters_before"] == count_parameters(parent)
    assert facts["parameters_after"] == facts["parameters_before"] - 2 * (4 * 4 * 9 + 4 + 4)
    one_unit = 2 * 4 * 4 * 9 * 8 * 8
    assert facts["macs_before"] == count_macs(parent, (torch.zeros(1, 1, 8, 8, dtype=torch.uint8),))
    assert facts["macs_after"] == facts["macs_before"] + (per_row - 2) * one_unit
    assert 0 <= facts["agreement_with_twice_the_steps"] <= 1


def test_one_unit_and_one_euler_step_change_nothing_but_the_form() -> None:
    parent = tiny.trained("residual")
    change = {"change": "ode", "solver": "euler", "blocks": [{"units": ["body.4"], "steps": 1}]}
    same = apply_changes(tiny.trained("residual"), (change,))
    assert isinstance(same.module.get_submodule("body.4"), OdeBlock)
    np.testing.assert_allclose(
        tiny.logits(same, tiny.pictures()), tiny.logits(parent, tiny.pictures()), rtol=1e-4, atol=1e-4
    )


def test_batch_norms_of_a_block_keep_their_statistics_and_others_do_not() -> None:
    before, after = tiny.trained("residual").module.state_dict(), blocks().model.module.state_dict()
    for name in ("body.1.unit.body.0.1.running_mean", "body.1.unit.body.1.1.running_var"):
        assert torch.equal(after[name], before[name.replace("unit.", "")])
        weight = name.rpartition(".")[0] + ".weight"
        assert not torch.equal(after[weight], before[weight.replace("unit.", "")])
    assert not torch.equal(after["body.0.1.running_mean"], before["body.0.1.running_mean"])


def test_training_brings_the_answers_back_to_the_parents() -> None:
    data, parent = tiny.pictures(), tiny.logits(tiny.trained("residual"), tiny.pictures())
    rough = {"solver": "rk4", "steps": 1, "min_units": 1, "alpha": 1.0}

    def distance(**fit: Any) -> float:
        return float(np.abs(tiny.logits(blocks(**rough, **fit).model, data) - parent).mean())

    assert distance(epochs=12, lr=0.02) < distance(lr=1e-9) / 2


@pytest.mark.integration
def test_blocks_reload_and_export(tmp_path: Path) -> None:
    data, outcome = tiny.pictures(), blocks(solver="rk4", steps=2)
    checkpoint.save(outcome.model, data, tmp_path)
    loaded = checkpoint.load(tmp_path, data)
    assert np.array_equal(tiny.logits(loaded, data), tiny.logits(outcome.model, data))
    proto = export(loaded, data)
    assert parity(loaded, proto, data) < 1e-3
    used = [name for node in proto.graph.node for name in node.input if node.op_type == "Conv"]
    # The steps are unrolled; eight evaluations share one tensor a convolution.
    assert max(used.count(t.name) for t in proto.graph.initializer) == 8
    onnx.checker.check_model(proto, full_check=True)


def test_agreement_is_full_where_more_steps_change_nothing() -> None:
    network = build_like(tiny.RESIDUAL, tiny.pictures())
    assert agreement(network.module, tiny.pictures().split("val")) == 1


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"exclude": ["body.3"]}, "'body.3' fits no unit; there are .*did you mean"),
        ({"exclude": ["body.2"]}, "no run of units is left"),
        ({"min_units": 3}, "no run of units is left"),
    ],
)
def test_what_cannot_be_done_raises(params: dict[str, Any], says: str) -> None:
    with pytest.raises(TechniqueError, match=says):
        blocks(**params)


def test_networks_without_units_are_refused() -> None:
    with pytest.raises(TechniqueError, match=r"small_cnn.*no residual unit that keeps its shape"):
        blocks(tiny.trained())
    with pytest.raises(TechniqueError, match=r"ode_blocks: .*only a chain of layers"):
        blocks(Network(Normalized(nn.Flatten(), (60.0,), (50.0,), 3), {"arch": "mine"}))
