"""Cutting a sub-network out of the whole: the slices that it runs with become the weights of a plain network."""

from __future__ import annotations

import copy
from dataclasses import replace

from pydantic import JsonValue
from torch import Tensor, nn

from tasks.core.changes import CHANGES, Change
from tasks.core.contract import Network
from tasks.core.groups import depthwise
from tasks.core.slices import cuts_of, sliced
from tasks.core.supernet import Config, Space


def changes_to(module: nn.Module, space: Space, config: Config) -> list[Change]:
    """The changes that make `module` as small as the sub-network `config`."""
    cuts = cuts_of(module, space, config)
    skipped = space.skipped(config)
    kernels: dict[str, JsonValue] = {name: kernel for name, (_, kernel) in cuts.items() if kernel is not None}
    sizes: dict[str, JsonValue] = {
        name: _size(module.get_submodule(name), axes) for name, (axes, _) in cuts.items() if axes
    }
    changes: list[Change] = [{"change": "skip", "modules": list(skipped)}] if skipped else []
    changes += [{"change": "kernel", "modules": kernels}] if kernels else []
    return [*changes, {"change": "resize", "modules": sizes}] if sizes else changes


def _size(layer: nn.Module, axes: dict[int, Tensor]) -> JsonValue:
    """The attributes that `resize` sets, as `tasks.core.changes.SIZES` lists them."""
    outs = {0: len(axes[0])} if 0 in axes else {}
    ins = len(axes[1]) if 1 in axes else None
    if isinstance(layer, nn.Linear):
        return {"in_features": ins or layer.in_features, "out_features": outs.get(0, layer.out_features)}
    if isinstance(layer, nn.Conv2d):
        out = outs.get(0, layer.out_channels)
        if depthwise(layer):
            return {"in_channels": out, "out_channels": out, "groups": out}
        return {"in_channels": ins or layer.in_channels, "out_channels": out, "groups": layer.groups}
    return {"num_features": len(axes[0])}


def cut_out(network: Network, space: Space, config: Config) -> Network:
    """The sub-network `config` as a network of its own; the norms' statistics are still those of the whole."""
    module = copy.deepcopy(network.module)
    weights = module.state_dict() | sliced(module, cuts_of(module, space, config))
    found = replace(network, module=module)
    for change in changes_to(network.module, space, config):
        CHANGES[str(change["change"])](module, change)
        found = found.with_change(change)
    module.load_state_dict({name: weights[name].detach().clone() for name in module.state_dict()})
    return found
