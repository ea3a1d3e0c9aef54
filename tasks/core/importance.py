"""How much a network needs each of its units: channels, heads, neurons. The least needed are pruned first.

`l1`, `l2`: the norm of all weights of the unit (rows, columns, scales; no biases). Li et al. 2016 (arXiv:1608.08710).
`bn_scale`: |gamma| of the batch norms behind the unit, their mean where there are several. Liu et al., *Learning
Efficient Convolutional Networks through Network Slimming*, 2017 (arXiv:1708.06519).
`taylor`: how much the loss on `calibration` would change. For channels the sum of |w x dL/dw| over the unit's
parameters, the mean over batches: Molchanov et al., *Importance Estimation for Neural Network Pruning*, 2019
(arXiv:1906.10771). For heads and neurons |dL/dg| of a gate g = 1 on the unit, the mean over rows: Michel et al. 2019
(arXiv:1905.10650). Torch-Pruning's own Taylor importance sums gradients before taking |.|, and leaves batch norms out.
`random`: a draw; what every other one must beat.

To rank units of several layers together, `l1` and `l2` are divided by their mean over the layer, since the scale of a
layer's weights says nothing across layers. The others are comparable as they are, as their papers use them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from tasks.core.arrays import batches
from tasks.core.contract import Data
from tasks.core.device import repeatable
from tasks.core.parts import Part, Slice

Importance = Literal["l1", "l2", "taylor", "bn_scale", "random"]
BATCH = 32


def scores(module: nn.Module, parts: Sequence[Part], data: Data, importance: Importance) -> dict[str, Tensor]:
    """{part: (units,) float64}; higher is more needed. A part that the importance cannot judge is left out."""
    if importance == "random":
        return {part.name: torch.rand(part.units, dtype=torch.float64) for part in parts}
    if importance == "taylor":
        return taylor(module, parts, data)
    if importance == "bn_scale":
        return {part.name: found for part in parts if (found := batch_norm_scale(part)) is not None}
    return {part.name: norm(part, 1 if importance == "l1" else 2) for part in parts}


def norm(part: Part, p: int) -> Tensor:
    """The p-norm of each unit's weights, over its mean in the part: (units,)."""
    weights = [s for s in part.slices if s.role in ("weight", "scale", "bn_scale")]
    total = sum((by_unit(s, s.parameter.detach().double().abs().pow(p), part.units) for s in weights), torch.zeros(1))
    found = total.pow(1 / p)
    return found / found.mean().clamp_min(torch.finfo(found.dtype).tiny)


def batch_norm_scale(part: Part) -> Tensor | None:
    """Mean |gamma| of each unit, (units,); None where no batch norm with a scale follows."""
    scales = [s for s in part.slices if s.role == "bn_scale"]
    if not scales:
        return None
    return sum((by_unit(s, s.parameter.detach().double().abs(), part.units) for s in scales), torch.zeros(1)) / len(
        scales
    )


def by_unit(part_of: Slice, values: Tensor, units: int) -> Tensor:
    """Sum `values`, one for each entry of the parameter, by the unit they belong to: (units,) float64."""
    each = values.transpose(0, part_of.axis).flatten(1).sum(1) if values.dim() > 1 else values
    return torch.zeros(units, dtype=torch.float64).index_add_(0, part_of.unit, each.double()[part_of.index])


def taylor(module: nn.Module, parts: Sequence[Part], data: Data) -> dict[str, Tensor]:
    """First-order estimate of what each unit's removal does to the loss on `calibration`, in nats a row."""
    found = {part.name: torch.zeros(part.units, dtype=torch.float64) for part in parts}
    split = data.split("calibration")
    parameters = {id(s.parameter): s.parameter for part in parts for s in part.slices if part.gated is None}
    with repeatable(), _gates(parts) as gates:
        for inputs, labels in batches(split, BATCH):
            for part in parts:
                if part.gated is not None:
                    gates[part.name] = torch.ones(len(labels), part.units, requires_grad=True)
            logits = module.eval()(*(torch.tensor(x) for x in inputs.values())).float()
            loss = nn.functional.cross_entropy(logits, torch.tensor(labels), reduction="sum")
            wanted = [*parameters.values(), *gates.values()]
            slopes = torch.autograd.grad(loss, wanted)
            by_id = dict(zip(parameters, slopes, strict=False))
            by_gate = dict(zip(gates, slopes[len(parameters) :], strict=True))
            for part in parts:
                found[part.name] += _batch(part, by_id, by_gate) / len(split)
    return found


def _batch(part: Part, by_id: dict[int, Tensor], by_gate: dict[str, Tensor]) -> Tensor:
    if part.gated is not None:
        return by_gate[part.name].abs().sum(0).double()
    zero = torch.zeros(part.units, dtype=torch.float64)
    return sum(
        (by_unit(s, (s.parameter.detach() * by_id[id(s.parameter)]).abs(), part.units) for s in part.slices), zero
    )


@contextmanager
def _gates(parts: Sequence[Part]) -> Iterator[dict[str, Tensor]]:
    """Multiply every unit of a gated part by its entry in the dict that is given: {part: (N, units)}."""
    gates: dict[str, Tensor] = {}

    def gate(part: Part) -> Any:
        unit = part.slices[-1].unit

        def hook(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            x = args[0]
            factor = gates[part.name][:, unit]
            return (x * factor.reshape(len(x), *[1] * (x.dim() - 2), -1), *args[1:])

        return hook

    hooks = [part.gated.register_forward_pre_hook(gate(part)) for part in parts if part.gated is not None]
    try:
        yield gates
    finally:
        for hook in hooks:
            hook.remove()
