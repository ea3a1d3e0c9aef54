"""Architectures: shapes, sizes counted by hand, and clear refusals."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

import tasks.models
from tasks.core.errors import TechniqueError
from tasks.core.shape import count_parameters
from tasks.models import mlp, none, resnet, resnet9, small_cnn

ELSEWHERE = {"none", "timm", "torchvision", "bert", "huggingface"}
"""Which build nothing by themselves, or are for texts: tested apart."""
HERE = sorted({m.name for m in pkgutil.iter_modules(tasks.models.__path__)} - ELSEWHERE)

MUST: dict[str, dict[str, object]] = {"ensemble": {"members": [{"arch": "mlp"}, {"arch": "small_cnn", "width": 4}]}}


@pytest.mark.parametrize("arch", HERE)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (3, 5, 9), (1, 1, 1)])
def test_gives_logits_for_any_picture(arch: str, shape: tuple[int, ...]) -> None:
    module = import_module(f"tasks.models.{arch}").build(shape=shape, classes=7, **MUST.get(arch, {})).eval()
    assert module(torch.zeros(2, *shape)).shape == (2, 7)


def test_small_cnn_has_the_parameters_counted_by_hand() -> None:
    convolutions = 9 * (1 * 4 + 4 * 8 + 8 * 16)
    norms = 2 * (4 + 8 + 16)
    assert (
        count_parameters(small_cnn.build(shape=(1, 8, 8), classes=10, width=4)) == convolutions + norms + 16 * 10 + 10
    )


@pytest.mark.parametrize("depth", [8, 14, 20])
def test_resnet_has_as_many_layers_as_its_depth(depth: int) -> None:
    module = resnet.build(shape=(3, 32, 32), classes=10, depth=depth)
    counted = [m for n, m in module.named_modules() if isinstance(m, nn.Conv2d | nn.Linear) and "shortcut" not in n]
    assert len(counted) == depth


def test_resnet_20_has_the_size_of_the_paper() -> None:
    """Table 6 of the paper: 0.27 M."""
    assert count_parameters(resnet.build(shape=(3, 32, 32), classes=10, depth=20)) == pytest.approx(0.27e6, rel=0.02)


def test_resnet_depth_is_six_n_plus_two() -> None:
    depth = TypeAdapter(eval(resnet.build.__annotations__["depth"], vars(resnet)))
    assert depth.validate_python(20) == 20
    for wrong in (7, 9, 21, 2):
        with pytest.raises(ValidationError, match=r"6n \+ 2; the nearest is"):
            depth.validate_python(wrong)


def test_mlp_without_hidden_layers_is_linear() -> None:
    module = mlp.build(shape=(2, 3), classes=4, hidden=())
    x, y = torch.randn(5, 2, 3), torch.randn(5, 2, 3)
    zero = module(torch.zeros(5, 2, 3))
    assert torch.allclose(module(x + y) + zero, module(x) + module(y), atol=1e-5)
    assert count_parameters(module) == 6 * 4 + 4


@pytest.mark.parametrize("arch", [small_cnn, resnet])
def test_a_network_for_pictures_refuses_plain_numbers(arch: object) -> None:
    with pytest.raises(TechniqueError, match=r"needs pictures .*\(64,\)"):
        arch.build(shape=(64,), classes=3)  # type: ignore[attr-defined]


def test_resnet9_has_nine_layers_and_the_published_size() -> None:
    module = resnet9.build(shape=(3, 32, 32), classes=10, width=16)
    layers = [m for m in module.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 9
    convolutions = 9 * (3 * 16 + 16 * 32 + 2 * 32 * 32 + 32 * 64 + 64 * 128 + 2 * 128 * 128)
    norms = 2 * (16 + 32 + 2 * 32 + 64 + 128 + 2 * 128)
    assert count_parameters(module) == convolutions + norms + 128 * 10 + 10


def test_none_builds_nothing_and_says_what_to_do() -> None:
    with pytest.raises(TechniqueError, match="start with `load_onnx`"):
        none.build(shape=(1, 8, 8), classes=3)
