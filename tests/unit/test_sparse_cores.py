"""2:4 weights on sparse tensor cores: which layers are packed, which stay and why. The kernels need a GPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tasks.core import sparse_cores
from tasks.core.sparse_cores import capable, on_sparse_cores, packed
from tasks.core.sparsity import two_of_four
from tasks.techniques import sparsify
from tests.unit import tiny


def as_kernel(weight: Tensor) -> Tensor:
    """What the kernel multiplies by, unpacked again: two of each four. RuntimeError for sizes that it refuses."""
    if weight.shape[0] % 32 or weight.shape[1] % 16:
        raise RuntimeError(f"shape {tuple(weight.shape)} is not supported!\nmore")
    return weight.masked_fill(two_of_four(weight.float().abs()), 0)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 10))


def test_layers_that_fit_are_packed_and_others_named() -> None:
    module = network()
    half, done, left = packed(module, ["0", "2"], as_kernel)
    assert done == ["0"] and left == {"2": "shape (10, 96) is not supported!"}
    assert half.get_submodule("0").weight.dtype == torch.float16
    assert module.get_submodule("0").weight.dtype == torch.float32, "the network itself is left as it is"


def test_a_convolution_stays_dense() -> None:
    _, done, left = packed(nn.Sequential(nn.Conv2d(4, 8, 3)), ["0"], as_kernel)
    assert done == [] and "Linear alone" in str(left["0"])


def test_a_network_in_the_pattern_answers_the_same_and_another_does_not() -> None:
    module, x = network(), torch.randn(16, 64)
    loud = on_sparse_cores(module, ["0"], (x,), as_kernel)
    with torch.no_grad():
        weight = module[0].weight
        assert isinstance(weight, Tensor)
        weight.masked_fill_(two_of_four(weight.abs()), 0)
    still = on_sparse_cores(module, ["0"], (x,), as_kernel)
    assert still["largest_difference"] == 0.0
    assert isinstance(loud["largest_difference"], float) and loud["largest_difference"] > 0.05


@pytest.mark.parametrize(("capability", "wanted"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_ampere_and_later_can(monkeypatch: pytest.MonkeyPatch, capability: Any, wanted: bool) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert capable(torch.device("cuda")) is wanted
    assert not capable(torch.device("cpu"))


def test_the_card_says_what_the_cores_made_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "sparse_tensor_cores" not in sparse("2:4"), "there is no GPU"
    monkeypatch.setattr(sparse_cores, "capable", lambda _: True)
    told = sparse("2:4")["sparse_tensor_cores"]
    assert set(told["layers_left_dense"]) | set(told["layers"]), "each layer is in one of the two"


def sparse(pattern: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    return dict(sparsify.apply(tiny.trained(), tiny.pictures(), sparsify.Params(pattern=pattern)).facts)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device with sparse tensor cores")
def test_the_real_kernels_agree_with_the_dense_network() -> None:
    where = torch.device("cuda")
    if not capable(where):
        pytest.skip("this GPU has no sparse tensor cores")
    module = nn.Sequential(nn.Linear(128, 128)).to(where)
    with torch.no_grad():
        module[0].weight.masked_fill_(two_of_four(module[0].weight.abs()), 0)
    found = on_sparse_cores(module, ["0"], (torch.randn(64, 128, device=where),))
    assert found["layers"] == ["0"]
    assert isinstance(found["largest_difference"], float) and found["largest_difference"] < 1e-2
