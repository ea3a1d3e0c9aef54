"""Stages of residual units that a row runs through only as far as it needs to: adaptive computation time.

Graves, *Adaptive Computation Time for Recurrent Neural Networks*, 2016 (arXiv:1603.08983), over residual units as in
Figurnov et al., 2016 (arXiv:1612.02297). After each unit but the last a halting score says how much of the answer the
unit is; a row halts at the first unit where its scores reach 1 - epsilon, and that unit gets the remainder up to 1.
Shapes: N = rows, L = units of a stage, S = stages, C = classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

START = -3.0
"""Bias of an untrained halting score, from Figurnov et al.: every row first goes nearly all the way."""


class Shares(NamedTuple):
    """What rows do in a stage: each unit's weight (N, L), the units computed (N,), and the last one's weight (N,)."""

    weights_NL: Tensor
    units_N: Tensor
    remainder_N: Tensor


def shares(scores_NL: Tensor, epsilon: float) -> Shares:
    """Weights that sum to 1 from halting scores in 0..1; the last unit's score is not looked at.

    A gradient reaches the scores through weights and remainder; the count of units has none.
    """
    upto_NL = scores_NL.cumsum(1)
    before_NL = torch.cat([torch.zeros_like(upto_NL[:, :1]), upto_NL[:, :-1]], dim=1)
    runs_NL = before_NL < 1 - epsilon
    halts_NL = runs_NL & (upto_NL >= 1 - epsilon)
    halts_NL[:, -1] = runs_NL[:, -1]
    zero = torch.zeros_like(scores_NL)
    weights_NL = torch.where(halts_NL, 1 - before_NL, torch.where(runs_NL, scores_NL, zero))
    return Shares(weights_NL, runs_NL.sum(1), torch.where(halts_NL, weights_NL, zero).sum(1))


class Halt(nn.Module):
    """The halting score (N,) of what a unit gives: mean over the picture, a linear layer, a sigmoid."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.constant_(self.linear.bias, START)

    def forward(self, x: Tensor) -> Tensor:
        """`x` is (N, F) or (N, F, H, W)."""
        return torch.sigmoid(self.linear(x if x.dim() == 2 else x.mean(dim=(2, 3))).squeeze(1).float())


class AdaptiveStage(nn.Module):
    """The weighted mean of what its units give; here every unit is computed, for all rows."""

    def __init__(self, units: Sequence[nn.Module], halts: Sequence[nn.Module], epsilon: float) -> None:
        """`halts` has one score for every unit but the last."""
        super().__init__()
        self.units, self.halts, self.epsilon = nn.ModuleList(units), nn.ModuleList(halts), epsilon

    def scored(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The stage's output, and the scores (N, L), 1 for the last unit."""
        outs, scores = [], []
        for unit, halt in zip(self.units, [*self.halts, None], strict=True):
            x = unit(x)
            outs.append(x)
            scores.append(x.new_ones(len(x), dtype=torch.float32) if halt is None else halt(x))
        scores_NL = torch.stack(scores, dim=1)
        weights_NL = shares(scores_NL, self.epsilon).weights_NL
        mean = torch.stack([out * each(w, out) for out, w in zip(outs, weights_NL.unbind(1), strict=True)]).sum(0)
        return mean, scores_NL

    def forward(self, x: Tensor) -> Tensor:
        """Any shape that the units take."""
        return self.scored(x)[0]


def each(row_N: Tensor, x: Tensor) -> Tensor:
    """One number a row, to be multiplied with `x`."""
    return row_N.reshape(-1, *[1] * (x.dim() - 1))


class AdaptiveNet(nn.Module):
    """`front` (from raw input to the chain's), then layers of which some are stages."""

    def __init__(self, front: nn.Module, layers: nn.Sequential) -> None:
        super().__init__()
        self.front, self.layers = front, layers

    def scored(self, raw: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The logits (N, C), and the scores (N, L) of every stage."""
        x, scores = self.front(raw), []
        for layer in self.layers:
            if isinstance(layer, AdaptiveStage):
                x, scores_NL = layer.scored(x)
                scores.append(scores_NL)
            else:
                x = layer(x)
        return x, scores

    def forward(self, raw: Tensor) -> Tensor:
        """The logits (N, C)."""
        return self.scored(raw)[0]

    @property
    def stages(self) -> dict[str, AdaptiveStage]:
        """The stages in order, each by the name of its first unit."""
        return {name: layer for name, layer in self.layers.named_children() if isinstance(layer, AdaptiveStage)}


def ponder(scores: Sequence[Tensor], epsilon: float) -> Tensor:
    """The ponder cost (N,): units computed plus the last one's weight, over all stages; paper, equation 11."""
    found = [shares(scores_NL, epsilon) for scores_NL in scores]
    return torch.stack([s.units_N + s.remainder_N for s in found]).sum(0)
