"""Neural ODE blocks: one residual unit, integrated by a solver of fixed steps, stands for all units of a stage.

Chen et al., *Neural Ordinary Differential Equations*, 2018 (arXiv:1806.07366), section 3, with fixed steps instead of
adaptive ones: the steps are unrolled in the exported graph, and training goes through these very steps (no adjoint).
Whether the result is a solution rather than its steps (Ott et al., *ResNet After All?*, 2021, arXiv:2007.15386) is told
by `agreement_with_twice_the_steps`.

Use when the size of the file or of memory counts and the network has several residual units a stage: parameters are
shared, time is not saved. A block evaluates its unit `steps` x 1 (euler), 2 (midpoint) or 4 (rk4) times, so it is
slower than the units it replaces once that is more than their number; `macs_after` and `bench` tell.
Changes runs of alike residual units of one shape (Sum, or Residual with an identity shortcut; in an nn.Sequential)
into one block each, whose dynamics start from the first unit; all is then trained to imitate the parent. The
parent is only read.
Costs `epochs` of training through every evaluation of every block, each step with a pass of the parent. In the zoo
(benchmarks/RESULTS.md), where a stage has one unit and nothing is shared, four evaluations in its place took 2.2 to 2.5
times the latency and a hundredth more bytes, for -0.01 points on Fashion-MNIST and 0.03 on CIFAR-10. Where two or
three units become one (ResNet of depth 20), 1.6 times fewer bytes in the same time, for 0.45 points.
"""

from __future__ import annotations

import copy
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from pydantic import Field, JsonValue

from tasks.core.errors import TechniqueError, nearest
from tasks.core.recipe import RecoverParams

if TYPE_CHECKING:
    from tasks.core.contract import Data, Network, Outcome

TAKES = "torch"
GIVES = "torch"


class Params(RecoverParams):
    """What becomes a block, how it is integrated, and how it is trained."""

    solver: Literal["euler", "midpoint", "rk4"] = Field(
        "euler", description="Runge-Kutta method, of order 1 (euler), 2 (midpoint) or 4 (rk4)"
    )
    steps: int | None = Field(
        None, ge=1, le=64, description="of the solver in each block; null: as many as the units it stands for"
    )
    min_units: int = Field(2, ge=1, le=1000, description="shorter runs of units are left alone: one shares nothing")
    exclude: tuple[str, ...] = Field((), description="units to leave alone, by name or pattern, as in `body.4`")


def apply(parent: Network, data: Data, params: Params) -> Outcome:
    """A copy of `parent` with ODE blocks, trained. Raises TechniqueError when no unit can be replaced."""
    from dataclasses import replace

    from tasks.core.contract import Outcome
    from tasks.core.imitate import recover
    from tasks.core.ode import OdeBlock, agreement, ode
    from tasks.core.shape import count_macs, count_parameters, example, spec_of

    inputs = example(spec_of(data), 2)
    found = runs_of(parent, data)
    chosen, left = choose(found, params)
    blocks: list[JsonValue] = [{"units": [*units], "steps": params.steps or len(units)} for units in chosen]
    change: dict[str, JsonValue] = {"change": "ode", "solver": params.solver, "blocks": blocks}
    module = copy.deepcopy(parent.module).eval()
    ode(module, change)
    network = replace(parent, module=module).with_change(change)
    facts = recover(network, parent, data, params)
    evaluations = {name: m.evaluations for name, m in module.named_modules() if isinstance(m, OdeBlock)}
    facts |= {
        "blocks": {units[0]: [*units] for units in chosen},
        "units_left_alone": {**left},
        "function_evaluations": {units[0]: evaluations[units[0]] for units in chosen},
        "parameters_before": count_parameters(parent.module),
        "parameters_after": count_parameters(module),
        "macs_before": count_macs(parent.module, inputs),
        "macs_after": count_macs(module, inputs),
        "agreement_with_twice_the_steps": round(agreement(module, data.split("val")), 6),
    }
    return Outcome(network, facts)


def runs_of(parent: Network, data: Data) -> list[list[str]]:
    """Full names of the units that one block can stand for, by run; TechniqueError when there are none."""
    import torch

    from tasks.core.exit_places import sequential
    from tasks.core.exits import front_of
    from tasks.core.ode import runs
    from tasks.core.shape import example, spec_of

    inputs = example(spec_of(data), 2)
    body = sequential(parent, inputs, "ode_blocks")
    with torch.no_grad():
        found = runs(body, front_of(parent)(inputs[0]))
    if not found:
        raise TechniqueError(
            f"ode_blocks: the network ({parent.arch.get('arch')}) has no residual unit that keeps its shape (Sum, or "
            "Residual with an identity shortcut); the models resnet and resnet9 have"
        )
    prefix = "body." if body is not parent.module else ""
    return [[prefix + name for name in units] for units in found]


def choose(found: list[list[str]], params: Params) -> tuple[list[list[str]], dict[str, str]]:
    """The runs to replace, and {unit: why} of those that stay. An excluded unit ends a run."""
    every = [name for units in found for name in units]
    for pattern in params.exclude:
        if not any(fnmatchcase(name, pattern) for name in every):
            raise TechniqueError(
                f"ode_blocks: exclude: {pattern!r} fits no unit; there are {every}{nearest(pattern, every)}"
            )
    left = {name: "excluded" for name in every if any(fnmatchcase(name, p) for p in params.exclude)}
    pieces: list[list[str]] = []
    for units in found:
        pieces.append([])
        for name in units:
            if name in left:
                pieces.append([])
            else:
                pieces[-1].append(name)
    for piece in pieces:
        if len(piece) < params.min_units:
            left |= {name: f"{len(piece)} in a row, min_units is {params.min_units}" for name in piece}
    chosen = [piece for piece in pieces if len(piece) >= params.min_units]
    if not chosen:
        raise TechniqueError(f"ode_blocks: no run of units is left to replace: {left}")
    return chosen, left
