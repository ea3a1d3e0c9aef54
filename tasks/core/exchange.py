"""Averaging gradients over processes, as a hook of PyTorch's DistributedDataParallel; what is counted and kept.

All is done by tensor, so that it does not depend on how PyTorch groups tensors into buckets, which it does anew after
the first step; and at once: callbacks may run in another order in each process, which crashes PyTorch's own PowerSGD
on gloo.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tasks.core.recipe import FitParams


class Exchange(ABC):
    """Averages gradients over the processes, and counts what it sends."""

    feedback = True

    def __init__(self, params: FitParams) -> None:
        self.params, self.n = params, dist.get_world_size()
        self.left: dict[nn.Parameter, Tensor] = {}
        self.reduced_bytes = self.gathered_bytes = 0

    def __call__(self, bucket: Any) -> Any:
        """The hook: replace the gradients of a bucket by their mean over the processes."""
        tensors, owners = bucket.gradients(), bucket.parameters()
        wanted = [g.flatten() for g in tensors]
        if self.feedback:
            wanted = [g + self.left[p] if p in self.left else g for g, p in zip(wanted, owners, strict=True)]
        means, sent = self.average(wanted, owners)
        if self.feedback:  # before the bucket is written: without anything left over, `wanted` is the bucket itself
            self.left.update((p, w - own) for p, w, own in zip(owners, wanted, sent, strict=True))
        for view, value in zip(tensors, means, strict=True):
            view.copy_(value.view(view.shape))
        buffer: Tensor = bucket.buffer()
        future: Any = torch.futures.Future(devices=[buffer.device] if buffer.is_cuda else None)
        future.set_result(buffer)
        return future

    @abstractmethod
    def average(self, own: list[Tensor], owners: Sequence[nn.Parameter]) -> tuple[list[Tensor], list[Tensor]]:
        """Flat gradients of this process to (their mean over the processes, what this process told of its own)."""

    def reduce(self, x: Tensor) -> Tensor:
        """The sum of `x` over the processes, in place."""
        dist.all_reduce(x)
        self.reduced_bytes += x.numel() * x.element_size()
        return x

    def gather(self, x: Tensor) -> list[Tensor]:
        """Every process's `x`."""
        found = [torch.empty_like(x) for _ in range(self.n)]
        dist.all_gather(found, x)
        self.gathered_bytes += x.numel() * x.element_size()
        return found

    @property
    def wire_bytes(self) -> int:
        """What this process has sent, if both collectives go round in a ring, as gloo's and NCCL's do."""
        return 2 * (self.n - 1) * self.reduced_bytes // self.n + (self.n - 1) * self.gathered_bytes


class Float(Exchange):
    """A sum in another float type; divided before, so that fp16 does not overflow by summing."""

    feedback = False

    def __init__(self, params: FitParams, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(params)
        self.dtype = dtype

    def average(self, own: list[Tensor], owners: Sequence[nn.Parameter]) -> tuple[list[Tensor], list[Tensor]]:
        """See Exchange."""
        total = self.reduce((torch.cat(own) / self.n).to(self.dtype)).to(own[0].dtype)
        return list(torch.split(total, [len(g) for g in own])), own


class Gathered(Exchange):
    """What each tensor becomes is sent to all; each process unpacks and averages."""

    @abstractmethod
    def pack(self, g: Tensor) -> tuple[Tensor, ...]:
        """A flat gradient as tensors to send."""

    @abstractmethod
    def unpack(self, parts: tuple[Tensor, ...], like: Tensor) -> Tensor:
        """The flat gradient that `parts` stand for."""

    def average(self, own: list[Tensor], owners: Sequence[nn.Parameter]) -> tuple[list[Tensor], list[Tensor]]:
        """See Exchange. One message a bucket: all parts as bytes, one after the other."""
        packed = [self.pack(g) for g in own]
        flat = [part.contiguous().view(torch.uint8) for parts in packed for part in parts]
        sums = [torch.zeros_like(g) for g in own]
        for message in self.gather(torch.cat(flat)):
            pieces = iter(torch.split(message, [len(part) for part in flat]))
            for total, parts in zip(sums, packed, strict=True):
                # Cloned: a view of another type must begin at a multiple of its size.
                theirs = tuple(next(pieces).clone().view(part.dtype) for part in parts)
                total += self.unpack(theirs, total)
        return [total / self.n for total in sums], [self.unpack(parts, g) for parts, g in zip(packed, own, strict=True)]
