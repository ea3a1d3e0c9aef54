"""Two thin layers in place of a wide one: the truncated singular value decomposition of a layer's weights.

Jaderberg et al., *Speeding up Convolutional Neural Networks with Low Rank Expansions*, 2014 (arXiv:1405.3866), for the
`spatial` split; Zhang et al., *Accelerating Very Deep Convolutional Networks*, 2015 (arXiv:1505.06798), for `channel`.
Shapes: O = outputs, I = inputs, H x W = the kernel, V = rows of a table, D = its columns, R = the rank.

layer      unfolded to     first                second
Linear     (I, O)          Linear I -> R        Linear R -> O
Conv2d     (I H, O W)      Hx1 conv I -> R      1xW conv R -> O      split `spatial`
Conv2d     (I H W, O)      HxW conv I -> R      1x1 conv R -> O      split `channel`
Embedding  (V, D)          Embedding V -> R     Linear R -> D
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast, get_args

import torch
from pydantic import JsonValue
from torch import Tensor, nn
from torch.nn.utils import skip_init

Split = Literal["spatial", "channel"]
KINDS = (nn.Linear, nn.Conv2d, nn.Embedding)


def unfold(layer: nn.Module, split: Split) -> Tensor:
    """The layer's weight as the matrix of the table above, in float64."""
    assert isinstance(layer, KINDS)
    weight = layer.weight.detach().double()
    if isinstance(layer, nn.Embedding):
        return weight
    if isinstance(layer, nn.Linear) or split == "channel":
        return weight.flatten(1).T
    outputs, inputs, height, width = weight.shape
    return weight.permute(1, 2, 0, 3).reshape(inputs * height, outputs * width)


def truncated(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """(M, R) and (R, N) whose product is the best approximation of `matrix` (M, N) of that rank (Eckart & Young).

    Both get the square root of the singular values, so that one step size suits both when they are trained further.
    """
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    root = values[:rank].sqrt()
    return left[:, :rank] * root, root[:, None] * right[:rank]


def empty_pair(layer: nn.Module, rank: int, split: Split) -> nn.Sequential:
    """The two layers that stand for `layer` at `rank`, their weights still to be filled in; the second has the bias."""
    assert isinstance(layer, KINDS)
    dtype = layer.weight.dtype
    if isinstance(layer, nn.Conv2d):
        return _conv_pair(layer, rank, split)
    if isinstance(layer, nn.Linear):
        first = _empty(nn.Linear, layer.in_features, rank, bias=False, dtype=dtype)
        bias, outputs = layer.bias is not None, layer.out_features
    else:
        first = _empty(nn.Embedding, layer.num_embeddings, rank, padding_idx=layer.padding_idx, dtype=dtype)
        bias, outputs = False, layer.embedding_dim
    return nn.Sequential(first, _empty(nn.Linear, rank, outputs, bias=bias, dtype=dtype))


def _empty(kind: type[nn.Module], *sizes: Any, **own: Any) -> nn.Module:
    """A layer whose weights are left as memory is, so that no random number is drawn for them."""
    made: nn.Module = skip_init(kind, *sizes, **own)  # type: ignore[no-untyped-call]
    return made


def _conv_pair(layer: nn.Conv2d, rank: int, split: Split) -> nn.Sequential:
    """`spatial` gives each axis's kernel, stride, padding and dilation to one layer; `channel` gives all to the first.

    Padding given by name ("same") fits any kernel and so stays with both.
    """

    def conv(inputs: int, outputs: int, keep: tuple[bool, bool], bias: bool) -> nn.Module:
        def axes(values: tuple[int, ...], rest: int) -> tuple[int, ...]:
            return tuple(v if kept else rest for v, kept in zip(values, keep, strict=True))

        return _empty(
            nn.Conv2d,
            inputs,
            outputs,
            axes(layer.kernel_size, 1),
            stride=axes(layer.stride, 1),
            padding=layer.padding if isinstance(layer.padding, str) else axes(layer.padding, 0),
            dilation=axes(layer.dilation, 1),
            padding_mode=layer.padding_mode,
            bias=bias,
            dtype=layer.weight.dtype,
        )

    spatial = split == "spatial"
    first = conv(layer.in_channels, rank, (True, not spatial), False)
    return nn.Sequential(first, conv(rank, layer.out_channels, (False, spatial), layer.bias is not None))


def factored(layer: nn.Module, rank: int, split: Split) -> nn.Sequential:
    """Two layers of `rank` that together answer as `layer` does, as nearly as that rank allows."""
    assert isinstance(layer, KINDS)
    pair = empty_pair(layer, rank, split)
    first, second = pair.children()
    left, right = truncated(unfold(layer, split), rank)
    if isinstance(layer, nn.Embedding):
        left[~layer.weight.any(1)] = 0  # the row of padding stays exactly zero
    else:
        left = left.T
    if isinstance(layer, nn.Conv2d) and split == "spatial":
        right = right.reshape(rank, layer.out_channels, layer.kernel_size[1]).transpose(0, 1)
    else:
        right = right.T
    for half, values in ((first, left), (second, right)):
        assert isinstance(half, KINDS)
        with torch.no_grad():
            half.weight.copy_(values.reshape(half.weight.shape))
    if not isinstance(layer, nn.Embedding) and layer.bias is not None:
        assert isinstance(second, nn.Linear | nn.Conv2d) and second.bias is not None
        with torch.no_grad():
            second.bias.copy_(layer.bias)
    return pair


def factorize(module: nn.Module, change: Mapping[str, JsonValue]) -> None:
    """Put pairs of layers where the record says so, in place; their weights are left empty, to be loaded."""
    ranks, split = change["ranks"], change["split"]
    assert isinstance(ranks, dict) and split in get_args(Split)
    for name, rank in ranks.items():
        assert isinstance(rank, int)
        module.set_submodule(name, empty_pair(module.get_submodule(name), rank, cast(Split, split)))
