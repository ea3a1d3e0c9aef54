"""What gradients are packed into, without any process group: the mathematics alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tasks.core.distributed import own_part, processes, require_even
from tasks.core.gradients import pack_signs, round_at_random, saves, unpack_signs
from tasks.core.recipe import FitParams
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
