"""Where a network can be cut, and where exits stand when the plan names no layers.

Only a chain of layers, an nn.Sequential with one input, can be cut; exits stand between its layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tasks.core.contract import Network
from tasks.core.errors import TechniqueError, nearest
from tasks.core.shape import body_of, count_macs

COST_SHARE = (0.02, 0.85)
"""Where exits are placed by default: after this share of the multiply-accumulates."""


class Place(NamedTuple):
    """A layer of the chain: its name, the shape of its output without N, and the MACs up to its end."""

    name: str
    shape: tuple[int, ...]
    macs: int


def sequential(network: Network, inputs: tuple[Tensor, ...], what: str) -> nn.Sequential:
    """The chain of layers that `network` is; TechniqueError, which names the technique `what`, for any other."""
    body = body_of(network.module)
    if len(inputs) != 1 or not isinstance(body, nn.Sequential):
        found = f"{len(inputs)} inputs" if len(inputs) != 1 else f"a {type(body).__name__}"
        raise TechniqueError(
            f"{what}: the network ({network.arch.get('arch')}) has {found}; only a chain of layers with one input, "
            "an nn.Sequential, can be cut"
        )
    return body


def places(front: nn.Module, body: nn.Sequential, raw: Tensor) -> list[Place]:
    """Every layer of the chain, in order."""
    out, macs = [], 0
    with torch.no_grad():
        x = front(raw)
        for name, layer in body.named_children():
            macs += count_macs(layer, (x,))
            x = layer(x)
            out.append(Place(name, tuple(x.shape[1:]), macs))
    return out


def choose_places(found: list[Place], wanted: Sequence[str]) -> list[str]:
    """The layers after which exits stand: `wanted`, or where the resolution falls, or in front of a linear layer.

    Raises TechniqueError for a name that is not there, and when there is no such place.
    """
    names, total = [p.name for p in found], found[-1].macs
    for name in wanted:
        if name not in names[:-1]:
            raise TechniqueError(
                f"early_exit: exits: no layer {name!r} before the last; there are {names[:-1]}{nearest(name, names)}"
            )
    if wanted:
        return sorted(set(wanted), key=names.index)
    low, high = (share * total for share in COST_SHARE)
    chosen = []
    for this, following in pairwise(found):
        pooled = len(this.shape) == 3 and len(following.shape) == 3 and following.shape[1:] != this.shape[1:]
        # A pooling layer costs nothing, so the exit stands behind it; a strided one opens the next stage.
        place = following if pooled and following.macs == this.macs else this
        widths = len(this.shape) == len(following.shape) == 1 and following.macs > this.macs
        if (pooled or widths) and low <= place.macs <= high and place.name not in chosen:
            chosen.append(place.name)
    if not chosen:
        raise TechniqueError(
            f"early_exit: no stage ends between {COST_SHARE[0]:.0%} and {COST_SHARE[1]:.0%} of the work, so there "
            f"is no place for an exit by default; name some of {names[:-1]} in `exits`"
        )
    return chosen
