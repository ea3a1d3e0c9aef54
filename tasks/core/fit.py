"""The one training loop: for training, distilling and recovering alike.

Repeatable: the same seed of torch's global generator gives the same weights bit for bit on the same kind of processor.
Rows are read from the memory-mapped data a batch at a time, so a data set may be larger than memory.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from tasks.core import distributed
from tasks.core.arrays import batches
from tasks.core.augment import augment
from tasks.core.best import Best
from tasks.core.contract import Data, Facts, Split
from tasks.core.device import best_device, bring_back, mixed_precision, place, placed, repeatable
from tasks.core.errors import TechniqueError
from tasks.core.optimize import cosine, optimizer_for
from tasks.core.recipe import FitParams
from tasks.core.rehearsal import lap
from tasks.core.settle import settle_in_rehearsal
from tasks.core.shared_step import Score, spread

Batch = Mapping[str, Tensor]
Loss = Callable[[nn.Module, Batch, Tensor], Tensor]
"""(model, named inputs, labels (N,)) -> scalar."""


def cross_entropy_loss(params: FitParams) -> Loss:
    """The loss of plain supervised training."""

    def loss(model: nn.Module, inputs: Batch, labels: Tensor) -> Tensor:
        logits_NC = model(*inputs.values()).float()
        return nn.functional.cross_entropy(logits_NC, labels, label_smoothing=params.label_smoothing)

    return loss


def shuffled(split: Split, params: FitParams, device: torch.device, generator: torch.Generator) -> Iterator[Any]:
    """One epoch of (inputs, labels) on `device`, in a fresh order; of each batch, this process's part.

    Rows that do not fill the last batch are left for another epoch: a batch of one would break batch normalisation.
    """
    order = torch.randperm(len(split), generator=generator).numpy()
    for k in range(max(1, len(split) // params.batch)):
        rows = np.sort(order[k * params.batch : (k + 1) * params.batch])  # sorted: disks like to read forward
        inputs = {name: torch.from_numpy(np.array(values[rows])) for name, values in split.inputs.items()}
        if params.augment:
            inputs = {name: augment(x, params.augment, generator) for name, x in inputs.items()}
        labels = torch.from_numpy(np.array(split.labels[rows]))
        own = distributed.own_part
        yield {name: placed(own(x), device) for name, x in inputs.items()}, own(labels).to(device)


def accuracy(module: nn.Module, split: Split, device: torch.device) -> float:
    """Share of rows whose top class is the label, in the training precision."""
    right = 0
    module.eval()
    with torch.no_grad(), mixed_precision(device):
        for inputs, labels in batches(split, 512):
            logits_NC = module(*(placed(torch.tensor(x), device) for x in inputs.values()))
            right += int((logits_NC.argmax(1).cpu().numpy() == labels).sum())
    return right / len(split)


def fit(module: nn.Module, data: Data, loss: Loss, params: FitParams, *, helper: nn.Module | None = None) -> Facts:
    """Train `module` in place to lower `loss` on data.train; returns what is worth a line on the card.

    `helper` holds further parameters that the loss needs and that are thrown away afterwards. The module ends on the
    processor, in eval mode. Inside `distributed.group` all processes train it together, and end with equal weights.
    Raises TechniqueError when the loss is no longer finite.
    """
    flat = [name for name, rows in data.train.inputs.items() if len(rows.shape) != 4]
    if params.augment and flat:
        raise TechniqueError(f"augment: {list(params.augment)} is for pictures (N, C, H, W), not {flat}; leave it out")
    distributed.require_even(min(params.batch, len(data.train)))
    settle_in_rehearsal(module)
    device = best_device()
    generator = torch.Generator().manual_seed(torch.initial_seed())
    place(module, device)
    named = [*module.named_parameters(), *([] if helper is None else helper.to(device).named_parameters())]
    optimizer = optimizer_for(named, params)
    batches_a_pass = max(1, len(data.train) // params.batch)
    steps = params.epochs * batches_a_pass
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine(step, steps, params.warmup))
    score, facts_of = spread(module, helper, partial(loss, module), params, device)
    best = Best(module, params.patience)
    val, epoch, value = data.split("val"), 0, 0.0
    bar = tqdm(range(1, params.epochs + 1), file=sys.stdout, unit="epoch", disable=None)
    with repeatable():
        for epoch in bar:
            with lap("train", batches_a_pass * min(params.batch, len(data.train))):
                mean_loss = _epoch(module, shuffled(data.train, params, device, generator), score, optimizer, schedule)
            distributed.share_buffers(module)
            with lap("val", len(val)):
                value = distributed.told(accuracy(module, val, device))
            _tell(bar, epoch, params.epochs, mean_loss, value)
            if best.keep(epoch, value):
                break
    best.restore()
    module.zero_grad(set_to_none=True)  # a gradient that stays behind is in the way of pruning and of exporting
    bring_back(module.eval())
    distributed.require_equal(module)
    kept = best.value if params.patience is not None else value
    return {"epochs_trained": epoch, "val_accuracy": round(kept, 6), **facts_of(schedule.last_epoch)}


def _epoch(
    module: nn.Module, rows: Iterator[Any], score: Score, optimizer: torch.optim.Optimizer, schedule: Any
) -> float:
    """One pass; returns the mean loss."""
    module.train()
    losses = []
    for inputs, labels in rows:
        with mixed_precision(labels.device):
            value = score(inputs, labels)
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        losses.append(value.detach())
    mean = distributed.mean(float(torch.stack(losses).mean()))
    if not math.isfinite(mean):
        raise TechniqueError(f"training diverged (loss {mean}); try a smaller lr or a longer warmup")
    return mean


def _tell(bar: Any, epoch: int, epochs: int, loss: float, value: float) -> None:
    """Progress: a moving bar on a terminal, about ten lines in a log file."""
    text = f"loss {loss:.4f}, val accuracy {value:.4f}"
    bar.set_postfix_str(text)
    if bar.disable and (epoch % max(1, epochs // 10) == 0 or epoch in (1, epochs)):
        print(f"epoch {epoch}/{epochs}: {text}", flush=True)
