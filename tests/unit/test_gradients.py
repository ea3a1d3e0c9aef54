"""What gradients are packed into, and what is kept for the next step: in one process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn

from tasks.core.device import best_device, bring_back, mixed_precision, place, repeatable
from tasks.core.distributed import own_part, processes, require_even
from tasks.core.fit import shuffled
from tasks.core.gradients import pack_signs, round_at_random, saves, unpack_signs
from tasks.core.optimize import cosine, optimizer_for
from tasks.core.recipe import FitParams
from tasks.core.shape import build_like
from tasks.core.shared_step import exchange_for
from tests.unit import tiny
from tests.unit.test_fit import fitted, same


@pytest.mark.parametrize("n", [1, 7, 8, 9, 100])
def test_signs_are_numpy_s_packed_bits(n: int) -> None:
    g = torch.randn(n, generator=torch.Generator().manual_seed(n))
    packed = pack_signs(g)
    assert packed.numpy().tolist() == np.packbits(g.numpy() >= 0, bitorder="little").tolist()
    assert torch.equal(unpack_signs(packed, n), torch.where(g >= 0, 1.0, -1.0))


def test_random_rounding_is_right_on_average_and_by_less_than_one() -> None:
    x = torch.linspace(-3, 3, 25)
    generator = torch.Generator().manual_seed(0)
    draws = torch.stack([round_at_random(x, generator) for _ in range(4000)])
    assert (draws - x).abs().max() < 1 and torch.equal(draws, draws.round())
    assert (draws.mean(0) - x).abs().max() < 0.04  # five deviations of the mean


def test_factors_only_where_they_are_smaller() -> None:
    assert saves(torch.zeros(64, 32, 3, 3), 2) and not saves(torch.zeros(64), 2)
    assert saves(torch.zeros(10, 10), 4) and not saves(torch.zeros(10, 10), 5)


def test_alone_nothing_is_shared_and_a_method_is_said_to_be_unused() -> None:
    x = torch.arange(5)
    assert processes() == 1 and own_part(x) is x
    require_even(5)
    plain, facts = fitted(0)
    assert "gradients" not in facts
    other, facts = fitted(0, gradients="sign")
    assert same(plain, other) and facts["gradients"] == "sign not used: training was in one process"


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(ValueError, match="powersgd"):
        FitParams.model_validate({"epochs": 1, "lr": 1, "gradients": "power"})


@pytest.fixture
def alone() -> Iterator[None]:
    """A group of one process: what is sent comes straight back."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


class Bucket:
    """As DistributedDataParallel hands to a hook: gradients that are views of one buffer, and whose they are."""

    def __init__(self, owners: list[nn.Parameter], gradients: list[torch.Tensor]) -> None:
        self.owners, self.flat = owners, torch.cat([g.flatten() for g in gradients])

    def buffer(self) -> torch.Tensor:
        return self.flat

    def parameters(self) -> list[nn.Parameter]:
        return self.owners

    def gradients(self) -> list[torch.Tensor]:
        parts = torch.split(self.flat, [p.numel() for p in self.owners])
        return [part.view(p.shape) for part, p in zip(parts, self.owners, strict=True)]


def owners() -> list[nn.Parameter]:
    return [nn.Parameter(torch.zeros(12, 10)), nn.Parameter(torch.zeros(7))]


@pytest.mark.parametrize("method", ["sign", "topk", "powersgd"])
def test_nothing_of_a_gradient_is_lost_whatever_the_buckets(alone: None, method: Any) -> None:
    """What was sent and what is still to be sent make up all gradients so far."""
    exchange = exchange_for(FitParams(epochs=1, lr=1, gradients=method), torch.device("cpu"))
    weights = owners()
    torch.manual_seed(0)
    wanted = [torch.zeros_like(p) for p in weights]
    sent = [torch.zeros_like(p) for p in weights]
    for step in range(5):
        order = [0, 1] if step % 2 else [1, 0]  # buckets are made anew after the first step
        bucket = Bucket([weights[k] for k in order], [torch.randn(weights[k].shape) for k in order])
        for k, g in zip(order, bucket.gradients(), strict=True):
            wanted[k] += g
        before = bucket.flat.clone()
        assert torch.equal(exchange(bucket).wait(), bucket.flat) and not torch.equal(before, bucket.flat)
        for k, g in zip(order, bucket.gradients(), strict=True):
            sent[k] += g
    for k, p in enumerate(weights):
        assert torch.allclose(sent[k] + exchange.left[p].view(p.shape), wanted[k], atol=1e-5)


def test_powersgd_sends_a_matrix_of_its_rank_whole(alone: None) -> None:
    exchange = exchange_for(FitParams(epochs=1, lr=1, gradients="powersgd"), torch.device("cpu"))
    torch.manual_seed(0)
    low = torch.randn(12, 2) @ torch.randn(2, 10)
    bucket = Bucket(owners(), [low, torch.ones(7)])
    exchange(bucket)
    assert torch.allclose(bucket.gradients()[0], low, atol=1e-5)


def test_topk_sends_the_largest_and_sign_the_mean_size(alone: None) -> None:
    g = torch.tensor([3.0, -8.0, 1.0, 0.5, -0.5, 2.0, 1.0])
    for method, expected in (("topk", [0, -8, 0, 0, 0, 0, 0]), ("sign", [16 / 7 * s for s in (1, -1, 1, 1, -1, 1, 1)])):
        exchange = exchange_for(FitParams.model_validate({"epochs": 1, "lr": 1, "gradients": method}), g.device)
        bucket = Bucket([owners()[1]], [g])
        exchange(bucket)
        assert bucket.flat.tolist() == pytest.approx(expected)


def test_int8_is_near_and_a_gradient_of_zeros_stays(alone: None) -> None:
    exchange = exchange_for(FitParams(epochs=1, lr=1, gradients="int8"), torch.device("cpu"))
    g = torch.randn(12, 10, generator=torch.Generator().manual_seed(0))
    bucket = Bucket(owners(), [g, torch.zeros(7)])
    exchange(bucket)
    assert (bucket.gradients()[0] - g).abs().max() <= g.abs().max() / 127 * 1.001
    assert not bucket.gradients()[1].any()


def test_alone_training_is_the_plain_loop_bit_for_bit() -> None:
    data, params = tiny.pictures(), FitParams(epochs=2, lr=0.05, batch=32, augment=("flip", "crop"))
    torch.manual_seed(1)
    module = build_like(tiny.CNN, data).module
    place(module, best_device())
    optimizer, step = optimizer_for(module.named_parameters(), params), 0
    generator = torch.Generator().manual_seed(torch.initial_seed())
    steps = params.epochs * (len(data.train) // params.batch)
    with repeatable():
        for _ in range(params.epochs):
            for inputs, labels in shuffled(data.train, params, best_device(), generator):
                for group in optimizer.param_groups:
                    group["lr"] = params.lr * cosine(step, steps, params.warmup)
                with mixed_precision(best_device()):
                    loss = nn.functional.cross_entropy(module.train()(*inputs.values()).float(), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                step += 1
    bring_back(module)
    assert same(module, fitted(1, augment=("flip", "crop"))[0])
