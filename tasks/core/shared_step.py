"""One training step of all processes together: each computes on its part, gradients are exchanged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tasks.core import distributed
from tasks.core.contract import Facts
from tasks.core.exchange import Exchange, Float
from tasks.core.gradients import Int8, PowerSGD, Sign, TopK
from tasks.core.recipe import FitParams

Score = Callable[[Any, Tensor], Tensor]
"""(named inputs, labels (N,)) -> the scalar to lower."""


class Whole(nn.Module):
    """Network, helper and loss as one module, so that every trained parameter is seen to be used in its forward."""

    def __init__(self, module: nn.Module, helper: nn.Module | None, score: Score) -> None:
        super().__init__()
        self.module, self.helper, self.score = module, helper, score

    def forward(self, inputs: Any, labels: Tensor) -> Tensor:
        """The loss of this process's rows."""
        return self.score(inputs, labels)


def exchange_for(params: FitParams, device: torch.device) -> Exchange:
    """The hook that `params.gradients` names."""
    match params.gradients:
        case "none":
            return Float(params)
        case "fp16":
            return Float(params, torch.float16)
        case "bf16":
            return Float(params, torch.bfloat16)
        case "int8":
            return Int8(params, device)
        case "sign":
            return Sign(params)
        case "topk":
            return TopK(params)
        case "powersgd":
            return PowerSGD(params)


def spread(
    module: nn.Module, helper: nn.Module | None, score: Score, params: FitParams, device: torch.device
) -> tuple[Score, Callable[[int], Facts]]:
    """`score`, whose gradients become the mean over the processes; and, given the steps taken, the facts of that.

    With one process it is `score` itself.
    """
    if distributed.processes() == 1:
        unused: Facts = {"gradients": f"{params.gradients} not used: training was in one process"}
        return score, lambda _: unused if params.gradients != "none" else {}
    whole = Whole(module, helper, score)
    # static_graph: parameters that the loss never uses are allowed. Buffers are shared an epoch at a time, by `fit`.
    together = DistributedDataParallel(whole, static_graph=True, forward_sync_buffers=False)
    exchange = exchange_for(params, device)
    together.register_comm_hook(None, lambda _, bucket: exchange(bucket))
    n = distributed.processes()
    values = sum(p.numel() for p in whole.parameters() if p.requires_grad)

    def facts(steps: int) -> Facts:
        plain = 2 * (n - 1) * 4 * values // n
        return {
            "processes": n,
            "gradients": params.gradients,
            "sent_bytes_a_step": round(exchange.wire_bytes / steps),
            "sent_bytes_a_step_float32": plain,
        }

    return together, facts
