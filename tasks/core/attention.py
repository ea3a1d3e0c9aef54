"""Attention blocks built like those of BERT and DistilBERT, found by the names of their layers, and their heads.

Vaswani et al., *Attention Is All You Need*, 2017 (arXiv:1706.03762).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pydantic import JsonValue
from torch import nn

from tasks.core.errors import TechniqueError

Change = Mapping[str, JsonValue]
ATTENTION = {"num_attention_heads": ("query", "key", "value"), "n_heads": ("q_lin", "k_lin", "v_lin")}
"""The attribute that counts the heads, and the layers that make them: BERT and its kin, DistilBERT."""
AFTER = ("out_lin", "output.dense")
"""The layer that reads the heads: in the block itself, or in its owner."""


class Block(NamedTuple):
    """One attention block: its name, the attribute that counts its heads, its four layers by name, the last reads."""

    name: str
    counter: str
    makers: tuple[str, ...]
    reader: str


def attention_blocks(module: nn.Module) -> list[Block]:
    """Every attention block of `module`, in order. Raises TechniqueError when its layers are not plain Linear."""
    found = []
    for name, block in module.named_modules():
        for counter, makers in ATTENTION.items():
            if all(hasattr(block, attribute) for attribute in (counter, *makers)):
                found.append(_block(module, name, counter, makers))
    return found


def _block(module: nn.Module, name: str, counter: str, makers: tuple[str, ...]) -> Block:
    names = dict(module.named_modules())
    owners = {AFTER[0]: name, AFTER[1]: name.rpartition(".")[0]}
    readers = [joined(owner, layer) for layer, owner in owners.items() if joined(owner, layer) in names]
    layers = [joined(name, maker) for maker in makers] + readers[:1]
    strange = [n for n in layers if type(module.get_submodule(n)) is not nn.Linear]
    if not readers or strange:
        raise TechniqueError(
            f"prune: attention block {name!r}: {strange or 'the layer that reads its heads'} should be plain Linear "
            f"layers (one of {', '.join(AFTER)} to read the heads); prune before factorizing or quantizing"
        )
    return Block(name, counter, tuple(layers[:3]), layers[3])


def set_heads(module: nn.Module, change: Change) -> None:
    """Tell the attention blocks on record how many heads they have left, in place; `resize` does their layers."""
    blocks = change["blocks"]
    assert isinstance(blocks, dict)
    for name, heads in blocks.items():
        assert isinstance(heads, int)
        attention = module.get_submodule(name)
        counter = next(counter for counter in ATTENTION if hasattr(attention, counter))
        size = getattr(attention, "attention_head_size", None)
        setattr(attention, counter, heads)
        if hasattr(attention, "all_head_size"):
            assert isinstance(size, int)
            attention.all_head_size = heads * size  # type: ignore[assignment]


def heads_between(before: nn.Module, after: nn.Module) -> Change | None:
    """The change that tells `before` the heads of `after`, or None when they are alike."""
    counts = [
        {b.name: int(getattr(m.get_submodule(b.name), b.counter)) for b in attention_blocks(m)} for m in (before, after)
    ]
    blocks: dict[str, JsonValue] = {name: heads for name, heads in counts[1].items() if heads != counts[0][name]}
    return {"change": "heads", "blocks": blocks} if blocks else None


def joined(owner: str, layer: str) -> str:
    """The full name of `layer` within `owner`; the network itself has no name."""
    return f"{owner}.{layer}" if owner else layer
