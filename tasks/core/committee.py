"""Several networks that answer as one, and how they are heard one by one.

Shapes: M = members, N = batch, C = classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from pydantic import JsonValue
from torch import Tensor, nn

from tasks.core.layers import Normalized
from tasks.core.shape import body_of

Combine = Literal["probabilities", "logits"]


class Committee(nn.Module):
    """Members whose answers are averaged.

    `probabilities` gives the log of the members' mean probability, whose softmax is that mean (Lakshminarayanan et al.
    2017, arXiv:1612.01474); `logits` the mean of the logits, which is the geometric mean of the probabilities.
    """

    def __init__(self, members: Iterable[nn.Module], combine: Combine) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.combine = combine

    def separate(self, *inputs: Tensor) -> Tensor:
        """(M, N, C) what each member says, as logits."""
        return torch.stack([member(*inputs) for member in self.members])

    def forward(self, *inputs: Tensor) -> Tensor:
        """(N, C) what they say together."""
        said_MNC = self.separate(*inputs)
        return said_MNC.mean(0) if self.combine == "logits" else log_mean_probability(said_MNC)


def log_mean_probability(logits_MNC: Tensor) -> Tensor:
    """(N, C) the log of the mean over members of softmax(logits)."""
    return torch.logsumexp(nn.functional.log_softmax(logits_MNC, dim=-1), dim=0) - math.log(len(logits_MNC))


def soft_targets(teacher: nn.Module, inputs: Iterable[Tensor], temperature: float, mean: Combine) -> Tensor:
    """(N, C) numbers that, over `temperature`, have the teacher's softmax; of a committee the members' mean.

    Each member is softened by itself before the mean is taken, which is not what its joint answer would give. Hinton et
    al. 2015, section 1, has both means: `probabilities` the arithmetic, `logits` the geometric.
    """
    body = body_of(teacher)
    if not isinstance(body, Committee):
        out: Tensor = teacher(*inputs)
        return out
    raw = tuple(inputs)
    seen = (teacher.normalized(raw[0]),) if isinstance(teacher, Normalized) else raw
    said_MNC = body.separate(*seen).float()
    return said_MNC.mean(0) if mean == "logits" else temperature * log_mean_probability(said_MNC / temperature)


def member_change(module: nn.Module, change: Mapping[str, JsonValue]) -> None:
    """Make to one member, in place, the structural change that it had before it joined."""
    from tasks.core.changes import CHANGES

    committee, index, inner = body_of(module), change["member"], change["of"]
    assert isinstance(committee, Committee) and isinstance(index, int) and isinstance(inner, dict)
    alone = nn.Module()  # a change names layers as seen from the whole network, where the member was its body
    alone.body = committee.members[index]
    target = alone if isinstance(module, Normalized) else alone.body
    CHANGES[str(inner["change"])](target, inner)
    committee.members[index] = alone.body
