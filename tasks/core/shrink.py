"""One round of structured pruning: find the parts, choose how many units each keeps, and take out the least needed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase

import torch
from pydantic import JsonValue
from torch import Tensor, nn

from tasks.core.attention import attention_blocks, heads_between
from tasks.core.changes import resize_between
from tasks.core.channels import channel_parts, output_layer
from tasks.core.contract import Facts, Network
from tasks.core.errors import TechniqueError, nearest
from tasks.core.heads import head_parts, neuron_parts
from tasks.core.parts import Part


def survey(module: nn.Module, inputs: tuple[Tensor, ...]) -> list[Part]:
    """What can be removed: heads and neurons where there is attention, channels elsewhere; the logits' layer is not."""
    if attention_blocks(module):
        return head_parts(module) + neuron_parts(module)
    return channel_parts(module, inputs, output_layer(module, inputs))


def shrunk(
    module: nn.Module, inputs: tuple[Tensor, ...], scores: Mapping[str, Tensor], keep: Mapping[str, int]
) -> nn.Module:
    """A copy of `module` where every part in `keep` has lost its lowest-scored units; of equals the first go."""
    smaller = copy.deepcopy(module)
    for part in survey(smaller, inputs):
        surplus = part.units - keep.get(part.name, part.units)
        if surplus > 0:
            part.remove(sorted(torch.argsort(scores[part.name], stable=True)[:surplus].tolist()))
    return smaller.requires_grad_(True)


def require_kinds(parts: list[Part], shares: Mapping[str, float | None]) -> None:
    """TechniqueError when `heads` or `ffn` is asked of a network that has none."""
    kinds = {"heads": "heads", "ffn": "neurons"}
    for name, share in shares.items():
        if share is not None and not any(part.kind == kinds[name] for part in parts):
            raise TechniqueError(
                f"prune: {name} {share}: found no {name} in the network; allowed: transformers built like BERT or "
                "DistilBERT (layers query, key, value or q_lin, k_lin, v_lin; a pair of Linear layers after them)"
            )


def own_shares(parts: list[Part], layers: Mapping[str, float]) -> dict[str, float]:
    """{part: its own share} of the parts with a layer that a pattern fits; the first pattern wins.

    Raises TechniqueError when a pattern fits no layer that can get narrower.
    """
    names = [name for part in parts for name in part.layers]
    for pattern in layers:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise TechniqueError(
                f"prune: layers: no layer {pattern!r} can get narrower; there are {names}{nearest(pattern, names)}"
            )
    out: dict[str, float] = {}
    for part in parts:
        fitting = [share for p, share in layers.items() if any(fnmatchcase(name, p) for name in part.layers)]
        if fitting:
            out[part.name] = fitting[0]
    return out


def on_record(parent: Network, module: nn.Module) -> Network | None:
    """`parent` with the smaller `module`, and on record what makes it again; None when nothing is smaller."""
    resized = resize_between(parent.module, module)
    if resized is None:
        return None
    told = heads_between(parent.module, module)
    network = Network(module, parent.arch, parent.changes).with_change(resized)
    return network if told is None else network.with_change(told)


def layers_touched(before: nn.Module, after: nn.Module, why: Callable[[str, int], str]) -> Facts:
    """{layers_changed: [...], layers_left_alone: {name: why(name, outputs)}}, of Conv2d and Linear layers."""
    old, new = widths(before), widths(after)
    changed: list[JsonValue] = [name for name in old if new[name] != old[name]]
    left: dict[str, JsonValue] = {n: why(n, width) for n, width in old.items() if new[n] == width}
    return {"layers_changed": changed, "layers_left_alone": left}


def widths(module: nn.Module) -> dict[str, int]:
    """{name: outputs} of every Conv2d and Linear layer."""
    return {n: len(m.weight) for n, m in module.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
