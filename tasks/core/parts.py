"""The parts of a network that structured pruning takes units from, and where each unit's weights are.

A unit is a channel of layers that go together, an attention head, or a neuron of a feed-forward block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

Kind = Literal["channels", "heads", "neurons"]
Role = Literal["weight", "bias", "bn_scale", "scale", "shift"]


@dataclass(frozen=True)
class Slice:
    """Which entries of one parameter belong to which unit.

    Entry `index[k]` along `axis` belongs to unit `unit[k]`; both are (K,) int64. `scale` and `shift` are the two
    parameters of a normalization, gamma and beta; gamma of a batch norm is `bn_scale`.
    """

    parameter: Tensor
    role: Role
    axis: int
    index: Tensor
    unit: Tensor


@dataclass(frozen=True)
class Part:
    """Units of one kind that compete with each other; `layers` are those whose outputs they are, the first names it.

    `remove` takes the numbers of the units that go, and changes the network in place; after it the part is void.
    `gated` is the layer that reads the units, where they meet it side by side: heads and neurons.
    """

    kind: Kind
    units: int
    layers: tuple[str, ...]
    slices: tuple[Slice, ...]
    remove: Callable[[list[int]], None]
    gated: nn.Linear | None = None

    @property
    def name(self) -> str:
        """How a person knows it: by its first layer."""
        return self.layers[0]
