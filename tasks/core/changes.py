"""Structural changes: how a technique reshaped a network, on record, so that a checkpoint can be built again.

A change is a JSON object {"change": name, ...}. It is what a checkpoint keeps instead of pickled code: the architecture
is built anew and the changes are applied in order. A technique with a new kind of change adds a function to CHANGES.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from pydantic import JsonValue
from torch import Tensor, nn

from tasks.core.attention import set_heads
from tasks.core.committee import member_change
from tasks.core.contract import Network
from tasks.core.elastic import kernel, skip, slim
from tasks.core.errors import TechniqueError
from tasks.core.factors import factorize
from tasks.core.ode import ode

Change = Mapping[str, JsonValue]

SIZES: dict[type[nn.Module], tuple[str, ...]] = {
    nn.Conv2d: ("in_channels", "out_channels", "groups"),
    nn.Linear: ("in_features", "out_features"),
    nn.BatchNorm1d: ("num_features",),
    nn.BatchNorm2d: ("num_features",),
}
"""The attributes that give a layer's size, by its exact type: what `resize` can record."""


def sizes(module: nn.Module) -> dict[str, dict[str, int]]:
    """{layer name: {attribute: value}} of every layer that has a size."""
    return {
        name: {attribute: int(getattr(m, attribute)) for attribute in SIZES[type(m)]}
        for name, m in module.named_modules()
        if type(m) in SIZES
    }


def resize_between(before: nn.Module, after: nn.Module) -> Change | None:
    """The change that makes an untrained `before` as large as `after`, or None when they are alike.

    Raises TechniqueError when a layer that `resize` cannot record has changed, since the result could not be reloaded.
    """
    old, new = sizes(before), sizes(after)
    modules = {name: size for name, size in new.items() if size != old.get(name)}
    shapes = {name: p.shape for name, p in before.named_parameters()}
    for name, p in after.named_parameters():
        layer = name.rpartition(".")[0]
        if p.shape != shapes.get(name) and layer not in modules:
            kind = type(after.get_submodule(layer)).__name__
            raise TechniqueError(f"layer {layer!r} ({kind}) was resized; only {_names()} can be recorded and reloaded")
    return {"change": "resize", "modules": modules} if modules else None  # type: ignore[dict-item]


def _names() -> str:
    return ", ".join(kind.__name__ for kind in SIZES)


def resize(module: nn.Module, change: Change) -> None:
    """Give the layers of `module` the sizes on record, in place; their weights are left empty, to be loaded."""
    resized = change["modules"]
    assert isinstance(resized, dict)
    for name, size in resized.items():
        layer = module.get_submodule(name)
        assert isinstance(size, dict)
        for attribute, value in size.items():
            setattr(layer, attribute, value)
        for tensors in (layer._parameters, layer._buffers):
            for key, old in tensors.items():
                if old is not None and old.dim() > 0:
                    tensors[key] = _emptied(layer, key, old)  # type: ignore[assignment]


def _emptied(layer: nn.Module, key: str, old: Tensor) -> Tensor:
    """A tensor like `old`, of the shape that the layer's attributes now ask for."""
    if isinstance(layer, nn.Conv2d) and key == "weight":
        shape: tuple[int, ...] = (layer.out_channels, layer.in_channels // layer.groups, *layer.kernel_size)
    elif isinstance(layer, nn.Linear) and key == "weight":
        shape = (layer.out_features, layer.in_features)
    else:  # a bias, or anything of a norm: one number an output
        shape = (getattr(layer, SIZES[type(layer)][min(1, len(SIZES[type(layer)]) - 1)]),)
    empty = torch.zeros(shape, dtype=old.dtype)
    return nn.Parameter(empty) if isinstance(old, nn.Parameter) else empty


CHANGES: dict[str, Callable[[nn.Module, Change], None]] = {
    "factorize": factorize,
    "heads": set_heads,
    "kernel": kernel,
    "member": member_change,
    "ode": ode,
    "resize": resize,
    "skip": skip,
    "slim": slim,
}
"""Structural changes by name; each alters an untrained module in place."""


def apply_changes(network: Network, changes: tuple[Change, ...]) -> Network:
    """`network` with the recorded changes applied to its module, in order, and put on its record."""
    for change in changes:
        CHANGES[str(change["change"])](network.module, change)
        network = network.with_change(change)
    return network
