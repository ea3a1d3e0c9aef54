"""timm and torchvision: what they are asked for, and what is told when they are absent, broken or lack a name."""

from __future__ import annotations

import importlib.abc
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

from tasks.core import zoo
from tasks.core.errors import TechniqueError
from tasks.models import timm, torchvision

BUILDERS = {"timm": timm, "torchvision": torchvision}
both = pytest.mark.parametrize("library", list(BUILDERS))


def fake(asked: list[Any]) -> SimpleNamespace:
    """What the two libraries share with the real ones as far as it is used here."""

    def make(*args: Any, **named: Any) -> nn.Module:
        asked.append((args, named))
        return nn.Flatten()

    models = SimpleNamespace(list_models=lambda **_: ["resnet18"], get_model=make)
    return SimpleNamespace(
        is_model=lambda n: n == "resnet18", list_models=models.list_models, create_model=make, models=models
    )


@both
def test_asks_for_an_untrained_network_of_the_datas_size(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setitem(sys.modules, library, fake(asked))  # type: ignore[arg-type]
    BUILDERS[library].build(shape=(3, 32, 32), classes=7, name="resnet18")
    own = {"pretrained": False, "in_chans": 3} if library == "timm" else {"weights": None}
    assert asked == [(("resnet18",), {"num_classes": 7, **own})]
    with pytest.raises(TechniqueError, match="'resnet81'; did you mean 'resnet18'"):
        BUILDERS[library].build(shape=(3, 32, 32), classes=7, name="resnet81")
    with pytest.raises(TechniqueError, match=r"needs .*pictures"):
        BUILDERS[library].build(shape=(64,), classes=7, name="resnet18")


@both
def test_absent_says_what_to_install(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(TechniqueError, match=rf"pip install 'stillroom\[{library}\]'"):
        BUILDERS[library].build(shape=(3, 8, 8), classes=3, name="resnet18")


class Broken(importlib.abc.MetaPathFinder):
    def __init__(self, says: str) -> None:
        self.says = says

    def find_spec(self, *_: Any) -> None:
        raise RuntimeError(self.says)


@both
def test_built_for_another_pytorch_says_so_and_other_faults_pass(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, library, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken("operator torchvision::nms does not exist")])
    with pytest.raises(TechniqueError, match="built for another PyTorch"):
        zoo.zoo(library)
    monkeypatch.setattr(sys, "meta_path", [Broken("something else")])
    with pytest.raises(RuntimeError, match="something else"):
        zoo.zoo(library)
