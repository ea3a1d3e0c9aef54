"""Where and in which precision a network is trained, and how to make that repeatable.

bf16 is used where the processor multiplies it natively (AVX512-BF16 or AMX) or the GPU does: there it trains 1.2 to 2
times as many rows a second, elsewhere it is emulated and loses. Results are therefore repeatable bit for bit on one
kind of processor, not from one kind to another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def best_device() -> torch.device:
    """The first GPU when there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fast_bf16(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def place(module: nn.Module, device: torch.device) -> None:
    """Move `module` to `device` in place, laid out as convolutions are fastest: channels last."""
    module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def bring_back(module: nn.Module) -> None:
    """Undo `place`: on the processor, in the plain layout that is written to disk."""
    module.to("cpu").to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


def placed(x: Tensor, device: torch.device) -> Tensor:
    """A batch on `device`; pictures (N, C, H, W) channels last, as the network is."""
    return x.to(device, memory_format=torch.channels_last if x.dim() == 4 else torch.preserve_format)


@contextmanager
def mixed_precision(device: torch.device) -> Iterator[None]:
    """Run matrix products in bf16 where `device` is fast at it; weights and the loss stay float32."""
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=fast_bf16(device)):
        yield


@contextmanager
def repeatable() -> Iterator[None]:
    """Only deterministic kernels inside; PyTorch raises where it has none. The settings found are put back."""
    before = torch.are_deterministic_algorithms_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    benchmark = torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = benchmark
