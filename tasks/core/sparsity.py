"""Which weights to make zero.

A *mask* is a bool tensor of a weight's shape, True where the weight is zero; masks go by layer name (tasks.core.masks).
Shapes: G = groups whose weights compete with each other, M = weights of a group.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tasks.core.errors import TechniqueError

Layer = nn.Conv2d | nn.Linear
Masks = dict[str, Tensor]
FOUR = 4


def lowest(scores_GM: Tensor, count: int) -> Tensor:
    """True at the `count` lowest scores of every group (G, M); of equal ones the first. All False when it is 0."""
    order = torch.argsort(scores_GM, dim=1, stable=True)
    return torch.zeros_like(scores_GM, dtype=torch.bool).scatter_(1, order[:, :count], True)


def two_of_four(scores: Tensor) -> Tensor:
    """True at the two lowest of every four consecutive inputs to an output: semi-structured 2:4.

    Shapes: (out, in) of Linear or (out, in, H, W) of Conv2d, whose fours run along `in` at every kernel position; `in`
    is a multiple of 4.
    """
    inputs_last = scores.movedim(1, -1)
    mask = lowest(inputs_last.reshape(-1, FOUR), FOUR // 2)
    return mask.reshape(inputs_last.shape).movedim(-1, 1).contiguous()


def unstructured(scores: Mapping[str, Tensor], sparsity: float, scope: str) -> Masks:
    """Masks of the share `sparsity` with the lowest scores: of the whole network, each `layer`, or each output's `row`.

    Raises TechniqueError when a layer would be left without a weight.
    """
    if scope == "global":
        flat = torch.cat([s.flatten() for s in scores.values()])[None]
        chosen = lowest(flat, round(sparsity * flat.numel()))[0]
        parts = torch.split(chosen, [s.numel() for s in scores.values()])
        masks = {name: part.reshape(s.shape) for (name, s), part in zip(scores.items(), parts, strict=True)}
    else:
        masks = {}
        for name, s in scores.items():
            groups = s.flatten(1) if scope == "row" else s.flatten()[None]
            masks[name] = lowest(groups, round(sparsity * groups.shape[1])).reshape(s.shape)
    empty = [name for name, mask in masks.items() if bool(mask.all())]
    if empty:
        better = (
            "scope: layer, a lower sparsity, or `exclude`" if scope == "global" else "a lower sparsity or `exclude`"
        )
        raise TechniqueError(f"sparsity {sparsity:.4g} leaves no weight in {empty}; try {better}")
    return masks


def magnitudes(layers: Mapping[str, Layer]) -> dict[str, Tensor]:
    """The absolute value of every weight, by layer."""
    return {name: layer.weight.detach().abs() for name, layer in layers.items()}


def cubic(progress: float, final: float, initial: float = 0.0) -> float:
    """The sparsity at `progress` 0..1: from `initial` to `final`, fast at first (Zhu & Gupta, equation 1)."""
    return final + (initial - final) * (1 - progress) ** 3


def rounds_due(rounds: int, ramp_steps: int) -> dict[int, int]:
    """{training step: round 1..rounds}, from step 0 to `ramp_steps`; of several rounds at a step the last."""
    return {(k - 1) * ramp_steps // max(1, rounds - 1): k for k in range(1, rounds + 1)}


def lightest(layers: Mapping[str, Layer], norms: Mapping[str, Tensor], sparsity: float, scope: str) -> Masks:
    """Masks of the weights that matter least now: by size, times their input's norm where `norms` has one (Wanda).

    `scope` is one of `unstructured`, or "2:4", for which `sparsity` says nothing.
    """
    scores = {n: s * norms[n].to(s.device) if n in norms else s for n, s in magnitudes(layers).items()}
    if scope == "2:4":
        return {name: two_of_four(s) for name, s in scores.items()}
    return unstructured(scores, sparsity, scope)
