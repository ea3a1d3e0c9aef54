"""Neural ODE blocks: one residual unit, integrated over time by a solver of fixed steps, in place of several units.

Chen et al., *Neural Ordinary Differential Equations*, 2018 (arXiv:1806.07366): a chain of residual units x + f(x) is
Euler's method for dx/dt = f(x). One unit of time stands for one residual unit, so that Euler's method with one step a
unit applies the same unit again and again. The dynamics are autonomous (f does not see the time). For a Residual,
f(x) = relu(x + body(x)) - x: its ReLU is kept inside f, so the state does not leave what the layers behind expect.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Self, get_args

import torch
from pydantic import JsonValue
from torch import Tensor, nn

from tasks.core.arrays import batches
from tasks.core.contract import Split
from tasks.core.layers import Residual, Sum

Solver = Literal["euler", "midpoint", "rk4"]
EVALUATIONS: dict[str, int] = {"euler": 1, "midpoint": 2, "rk4": 4}
"""How often a solver evaluates f in one step; also its order of convergence."""


def integrate(f: Callable[[Tensor], Tensor], x: Tensor, time: float, steps: int, solver: str) -> Tensor:
    """The state at `time` of dx/dt = f(x) that starts at `x`, by `steps` equal steps of a Runge-Kutta method."""
    h = time / steps
    for _ in range(steps):
        k1 = f(x)
        if solver == "euler":
            x = x + h * k1
        elif solver == "midpoint":
            x = x + h * f(x + h / 2 * k1)
        else:
            k2 = f(x + h / 2 * k1)
            k3 = f(x + h / 2 * k2)
            x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + f(x + h * k3))
    return x


class OdeBlock(nn.Module):
    """The state after `time` units of time, from the input on; the steps are unrolled when exported.

    Batch norms inside keep their statistics in training, too: dynamics must be one function at every time, and must
    not depend on the other rows of a batch.
    """

    def __init__(self, unit: nn.Module, time: int, steps: int, solver: str) -> None:
        """`unit` is a Sum or a Residual that keeps the shape; `solver` one of `Solver`."""
        super().__init__()
        assert isinstance(unit, Sum | Residual) and solver in get_args(Solver)
        self.unit, self.time, self.steps, self.solver = unit, time, steps, solver

    @property
    def evaluations(self) -> int:
        """How often the dynamics are evaluated for a row."""
        return self.steps * EVALUATIONS[self.solver]

    def dynamics(self, x: Tensor) -> Tensor:
        """f: what the unit adds to its input."""
        change: Tensor = self.unit.body(x) if isinstance(self.unit, Sum) else self.unit(x) - x
        return change

    def forward(self, x: Tensor) -> Tensor:
        """Any shape that the unit keeps."""
        if self.solver == "euler" and self.steps == self.time:
            for _ in range(self.steps):  # x + f(x) is what the unit gives: the same, in fewer operations
                x = self.unit(x)
            return x
        return integrate(self.dynamics, x, self.time, self.steps, self.solver)

    def train(self, mode: bool = True) -> Self:
        """Batch norms stay in eval mode."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self


def runs(chain: nn.Sequential, x: Tensor) -> list[list[str]]:
    """Names of the consecutive units of `chain` that one block can stand for: alike, and all of one shape.

    `x` is an input of the chain. Only a Sum, and a Residual with an identity as its shortcut, can be integrated.
    """
    found: list[list[str]] = []
    kind: type[nn.Module] | None = None
    with torch.no_grad():
        for name, layer in chain.named_children():
            shape, x = x.shape, layer(x)
            plain = isinstance(layer, Sum) or (isinstance(layer, Residual) and isinstance(layer.shortcut, nn.Identity))
            if not plain or x.shape != shape:
                kind = None
            elif type(layer) is kind:
                found[-1].append(name)
            else:
                found.append([name])
                kind = type(layer)
    return found


def replace_units(module: nn.Module, units: Sequence[str], steps: int, solver: str) -> None:
    """Put a block that starts from the first of `units` in its place, and take the others out, in place."""
    first, *others = units
    module.set_submodule(first, OdeBlock(module.get_submodule(first), len(units), steps, solver))
    for name in others:
        owner, _, own = name.rpartition(".")
        # Not `del chain[i]`, which would rename the layers behind.
        delattr(module.get_submodule(owner), own)


def ode(module: nn.Module, change: Mapping[str, JsonValue]) -> None:
    """Put blocks where the record says so, in place; their weights are those of `module`, to be loaded."""
    blocks, solver = change["blocks"], change["solver"]
    assert isinstance(blocks, list)
    for block in blocks:
        assert isinstance(block, dict) and isinstance(block["units"], list) and isinstance(block["steps"], int)
        replace_units(module, [str(name) for name in block["units"]], block["steps"], str(solver))


def agreement(module: nn.Module, split: Split) -> float:
    """Share of the rows whose top class stays when every block of `module` takes twice as many steps."""
    finer = copy.deepcopy(module)
    for block in finer.modules():
        if isinstance(block, OdeBlock):
            block.steps *= 2
    same = 0
    with torch.no_grad():
        for inputs, _ in batches(split, 256):
            raw = [torch.tensor(x) for x in inputs.values()]
            same += int((module(*raw).argmax(1) == finer(*raw).argmax(1)).sum())
    return same / len(split)
