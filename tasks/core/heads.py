"""Attention heads and feed-forward neurons that can be removed from transformers like BERT and DistilBERT.

Michel, Levy & Neubig, *Are Sixteen Heads Really
Better than One?*, 2019 (arXiv:1905.10650), for removing whole heads. The hidden width stays: every block adds to it.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from tasks.core.attention import Block, attention_blocks, joined, set_heads
from tasks.core.parts import Part, Role, Slice

FEED_FORWARD = (("lin1", "lin2"), ("intermediate.dense", "output.dense"))
"""The layer that makes the neurons and the one that reads them, by their names within the owner."""


def head_parts(module: nn.Module) -> list[Part]:
    """The heads of every attention block as a Part; a head is rows of query, key and value, and columns of the last."""
    return [_heads(module, block) for block in attention_blocks(module)]


def _heads(module: nn.Module, block: Block) -> Part:
    attention = module.get_submodule(block.name)
    heads = int(getattr(attention, block.counter))

    def remove(units: list[int]) -> None:
        _remove(module, block.makers, block.reader, [u not in units for u in range(heads)])
        set_heads(module, {"blocks": {block.name: heads - len(units)}})

    slices = _slices(module, block.makers, block.reader, heads)
    return Part("heads", heads, block.makers, slices, remove, _linear(module, block.reader))


def neuron_parts(module: nn.Module) -> list[Part]:
    """The neurons of every feed-forward block as a Part: a row of the first layer, and a column of the second."""
    return [_neurons(module, first, second) for first, second in _feed_forward(module)]


def _feed_forward(module: nn.Module) -> Iterator[tuple[str, str]]:
    layers = dict(module.named_modules())
    for owner in layers:
        for pair in FEED_FORWARD:
            first, second = (joined(owner, layer) for layer in pair)
            if first in layers and second in layers:
                a, b = layers[first], layers[second]
                if type(a) is nn.Linear and type(b) is nn.Linear and a.out_features == b.in_features:
                    yield first, second


def _neurons(module: nn.Module, first: str, second: str) -> Part:
    width = _linear(module, first).out_features

    def remove(units: list[int]) -> None:
        gone = set(units)
        _remove(module, (first,), second, [u not in gone for u in range(width)])

    slices = _slices(module, (first,), second, width)
    return Part("neurons", width, (first,), slices, remove, _linear(module, second))


def _slices(module: nn.Module, makers: tuple[str, ...], reader: str, units: int) -> tuple[Slice, ...]:
    index = torch.arange(_linear(module, reader).in_features)
    unit = index // (len(index) // units)
    slices: list[Slice] = []
    for layer in (_linear(module, name) for name in makers):
        roles: tuple[Role, Role] = ("weight", "bias")
        found = zip(roles, (layer.weight, layer.bias), strict=True)
        slices += [Slice(p, role, 0, index, unit) for role, p in found if p is not None]
    return (*slices, Slice(_linear(module, reader).weight, "weight", 1, index, unit))


def _remove(module: nn.Module, makers: tuple[str, ...], reader: str, stays: list[bool]) -> None:
    """Keep the rows of `makers` and the columns of `reader` of the units that stay, in place."""
    last = _linear(module, reader)
    kept = torch.tensor(stays).repeat_interleave(last.in_features // len(stays))
    for layer in (_linear(module, name) for name in makers):
        layer.weight = nn.Parameter(layer.weight.detach()[kept].clone())
        if layer.bias is not None:
            layer.bias = nn.Parameter(layer.bias.detach()[kept].clone())
        layer.out_features = len(layer.weight)
    last.weight = nn.Parameter(last.weight.detach()[:, kept].contiguous())
    last.in_features = last.weight.shape[1]


def _linear(module: nn.Module, name: str) -> nn.Linear:
    layer = module.get_submodule(name)
    assert isinstance(layer, nn.Linear)
    return layer
