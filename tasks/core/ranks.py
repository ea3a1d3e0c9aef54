"""How many singular values a layer keeps: by their energy, by a share of all, or by what fits a budget.

Energy is the share of the squared singular values (Zhang et al. 2015, arXiv:1505.06798): one minus the relative squared
error that truncating leaves in the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from tasks.core.errors import TechniqueError
from tasks.core.factors import Split, unfold


class Spectrum(NamedTuple):
    """What decides a layer's rank. `kept`: the energy that ranks 1, 2, ... keep; `cost`: weights that a rank needs."""

    kept: np.ndarray[Any, np.dtype[np.float64]]
    weights: int
    cost: int

    def rounded(self, rank: int, round_to: int) -> int:
        """`rank` up to a multiple of `round_to`, at most the full rank."""
        return min(len(self.kept), -(-rank // round_to) * round_to)

    def saved(self, rank: int) -> int:
        """How many weights two layers of `rank` save; not above zero when they save none."""
        return self.weights - rank * self.cost


Spectra = Mapping[str, Spectrum]


def spectrum(layer: nn.Module, split: Split) -> Spectrum:
    """The Spectrum of a layer whose weights are not all zero."""
    matrix = unfold(layer, split)
    squares = torch.linalg.svdvals(matrix).square().cumsum(0).numpy()
    return Spectrum(squares / squares[-1], matrix.numel(), sum(matrix.shape))


def by_energy(spectra: Spectra, energy: float, round_to: int) -> dict[str, int]:
    """Each layer's smallest rank that keeps `energy`, before rounding up."""
    return {name: s.rounded(1 + int((s.kept[:-1] < energy).sum()), round_to) for name, s in spectra.items()}


def by_ratio(spectra: Spectra, ratio: float, round_to: int) -> dict[str, int]:
    """That share of each layer's full rank, to the nearest whole number, at least one, before rounding up."""
    return {name: s.rounded(max(1, int(len(s.kept) * ratio + 0.5)), round_to) for name, s in spectra.items()}


def by_budget(spectra: Spectra, share: float, round_to: int, total: int) -> dict[str, int]:
    """The ranks of the highest energy, one for all layers, at which `share` of all `total` parameters are not exceeded.

    Raises TechniqueError when even the lowest ranks are too many.
    """

    def size(energy: float) -> int:
        ranks = by_energy(spectra, energy, round_to)
        return total - sum(max(0, s.saved(ranks[name])) for name, s in spectra.items())

    # Ranks change at these energies only, and the size never falls as the energy grows: a binary search.
    steps = np.unique(np.concatenate([s.kept for s in spectra.values()])) if spectra else np.zeros(1)
    if size(steps[0]) > share * total:
        raise TechniqueError(
            f"factorize: parameters {share}: the lowest ranks, with round_to {round_to}, leave {size(steps[0])} of "
            f"{total} parameters, a share of {size(steps[0]) / total:.4f}; raise parameters or lower round_to"
        )
    low, high = 0, len(steps)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size(steps[middle]) <= share * total else (low, middle)
    return by_energy(spectra, float(steps[low]), round_to)
