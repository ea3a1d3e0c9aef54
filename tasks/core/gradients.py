"""How processes that train together make the gradients that they exchange smaller.

fp16, bf16  halves, summed as such
int8        127 steps of each tensor's largest value, rounded up or down at random so that the mean is right:
            Alistarh et al., *QSGD*, 2016 (arXiv:1610.02132)
sign        one bit a weight and each tensor's mean size: Seide et al., *1-Bit Stochastic Gradient Descent*, 2014;
            Karimireddy et al., *Error Feedback Fixes SignSGD*, 2019 (arXiv:1901.09847)
topk        each tensor's largest values: Lin et al., *Deep Gradient Compression*, 2017 (arXiv:1712.01887), without its
            changes to the momentum
powersgd    two thin matrices: Vogels et al., *PowerSGD*, 2019 (arXiv:1905.13727)
The last three are biased: what was not sent is added to the next step's gradient (error feedback).
What is gathered (int8, sign, topk) grows with the number of processes: int8 saves nothing at 8 of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tasks.core import distributed
from tasks.core.exchange import Exchange, Gathered
from tasks.core.recipe import FitParams

BITS = 8


def pack_signs(g: Tensor) -> Tensor:
    """Flat (n,) to (ceil(n / 8),) uint8: a bit is 1 where the value is not negative."""
    bits = torch.nn.functional.pad((g >= 0).to(torch.uint8), (0, -len(g) % BITS)).view(-1, BITS)
    return (bits << torch.arange(BITS, dtype=torch.uint8, device=g.device)).sum(1, dtype=torch.uint8)


def unpack_signs(packed: Tensor, n: int) -> Tensor:
    """The n signs that `pack_signs` packed, as 1.0 and -1.0."""
    bits = (packed[:, None] >> torch.arange(BITS, dtype=torch.uint8, device=packed.device)) & 1
    return bits.view(-1)[:n].float() * 2 - 1


def round_at_random(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each value to the whole number below or above it, so that the mean of many draws is the value."""
    return torch.floor(x + torch.rand(x.shape, generator=generator, device=x.device))


class Int8(Gathered):
    """A byte a weight; right on average, so nothing is fed back."""

    feedback = False

    def __init__(self, params: FitParams, device: torch.device) -> None:
        super().__init__(params)
        self.generator = torch.Generator(device).manual_seed(torch.initial_seed() + 1 + distributed.rank())

    def pack(self, g: Tensor) -> tuple[Tensor, ...]:
        """See Gathered."""
        step = (g.abs().max() / 127).view(1)
        levels = round_at_random(g / step.clamp(min=torch.finfo(g.dtype).tiny), self.generator).clamp(-127, 127)
        return step, levels.to(torch.int8)

    def unpack(self, parts: tuple[Tensor, ...], like: Tensor) -> Tensor:
        """See Gathered."""
        return parts[1].to(like) * parts[0]


class Sign(Gathered):
    """One bit a weight."""

    def pack(self, g: Tensor) -> tuple[Tensor, ...]:
        """See Gathered."""
        return g.abs().mean().view(1), pack_signs(g)

    def unpack(self, parts: tuple[Tensor, ...], like: Tensor) -> Tensor:
        """See Gathered."""
        return unpack_signs(parts[1], len(like)).to(like) * parts[0]


class TopK(Gathered):
    """The largest values and where they stand."""

    def pack(self, g: Tensor) -> tuple[Tensor, ...]:
        """See Gathered."""
        where = g.abs().topk(max(1, round(self.params.gradients_share * len(g)))).indices
        return g[where], where.to(torch.int32)

    def unpack(self, parts: tuple[Tensor, ...], like: Tensor) -> Tensor:
        """See Gathered."""
        return torch.zeros_like(like).index_copy_(0, parts[1].long(), parts[0])


class PowerSGD(Exchange):
    """One step of the power method a training step, from where the last one ended; small tensors go as they are."""

    def __init__(self, params: FitParams) -> None:
        super().__init__(params)
        self.right: dict[nn.Parameter, Tensor] = {}
        self.generator = torch.Generator().manual_seed(torch.initial_seed())

    def average(self, own: list[Tensor], owners: Sequence[nn.Parameter]) -> tuple[list[Tensor], list[Tensor]]:
        """See Exchange. Two sums a bucket: of the left factors with the small tensors, then of the right factors."""
        rank = self.params.gradients_rank
        thin = {k: g.view(len(p), -1) for k, (g, p) in enumerate(zip(own, owners, strict=True)) if saves(p, rank)}
        for k, matrix in thin.items():
            if owners[k] not in self.right:
                start = torch.randn(matrix.shape[1], rank, generator=self.generator)
                self.right[owners[k]] = start.to(matrix)
        firsts = [thin[k] @ self.right[owners[k]] if k in thin else g for k, g in enumerate(own)]
        firsts = self.mean(firsts)
        lefts = {k: torch.linalg.qr(firsts[k]).Q for k in thin}
        rights = dict(zip(thin, self.mean([thin[k].T @ lefts[k] for k in thin]), strict=True))
        for k, right in rights.items():
            self.right[owners[k]] = right
        means = [(lefts[k] @ rights[k].T).flatten() if k in thin else firsts[k] for k in range(len(own))]
        return means, [means[k] if k in thin else own[k] for k in range(len(own))]

    def mean(self, tensors: list[Tensor]) -> list[Tensor]:
        """The mean over the processes, all tensors in one sum."""
        if not tensors:
            return []
        total = self.reduce(torch.cat([t.flatten() for t in tensors])) / self.n
        pieces = torch.split(total, [t.numel() for t in tensors])
        return [piece.view(t.shape) for piece, t in zip(pieces, tensors, strict=True)]


def saves(p: Tensor, rank: int) -> bool:
    """Whether two factors of `rank` are smaller than the tensor seen as a matrix (outputs, the rest)."""
    return p.dim() > 1 and rank * (len(p) + p.numel() // len(p)) < p.numel()
