"""The few building blocks that PyTorch lacks, shared by the architectures of tasks/models/."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Normalized(nn.Module):
    """A network that takes raw input: to float32, minus the mean, over the deviation, then `body`.

    The one place where input is normalised: `model.onnx` holds it too, so training, measuring and serving cannot
    differ. Without mean and std it only makes integers float32. Shapes: input (N, C, ...), one mean and std a C.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, body: nn.Module, mean: Sequence[float], std: Sequence[float], dims: int) -> None:
        """`dims` counts the axes of one row, without N."""
        super().__init__()
        self.body = body
        self.scaled = bool(mean)
        shape = (-1, *[1] * (dims - 1))
        # Not in the checkpoint's weights: model.json holds them.
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).reshape(shape), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).reshape(shape), persistent=False)

    def normalized(self, raw: Tensor) -> Tensor:
        """What the body is given for raw input."""
        x = raw.to(torch.float32)
        return (x - self.mean) / self.std if self.scaled else x

    def forward(self, raw: Tensor) -> Tensor:
        """The body's logits (N, classes) for raw input."""
        out: Tensor = self.body(self.normalized(raw))
        return out


class Residual(nn.Module):
    """relu(body(x) + shortcut(x)): He et al. 2015 (arXiv:1512.03385), figure 2."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Both paths must give the same shape."""
        return torch.relu(self.body(x) + self.shortcut(x))


class Sum(nn.Module):
    """body(x) + x, with nothing after it."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """`body` must keep the shape."""
        out: Tensor = x + self.body(x)
        return out


class Scaled(nn.Module):
    """x times a fixed number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return x * self.factor


def conv_norm(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, relu: bool = True) -> nn.Sequential:
    """Convolution, batch normalisation and, unless told otherwise, ReLU; keeps height and width at stride 1."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))
