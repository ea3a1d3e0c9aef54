"""No network: for a plan whose rows start from a file, by `load_onnx`.

*Use when* all there is of a network is an ONNX file: techniques that need to train cannot be used below it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.core.errors import TechniqueError

if TYPE_CHECKING:
    from torch import nn


def build(*, shape: tuple[int, ...], classes: int) -> nn.Module:
    """Raises TechniqueError: there is nothing to build."""
    raise TechniqueError("none: the plan's `model: {arch: none}` has no network; start with `load_onnx`, or name one")
