"""Zeros among the weights of a network: where they may be, and how they last while it trains.

Zeros live in the weights alone: a checkpoint keeps them, training without `held` fills them again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase

import torch
from pydantic import JsonValue
from torch import Tensor, nn

from tasks.core.contract import Facts
from tasks.core.errors import TechniqueError, nearest
from tasks.core.sparsity import FOUR, Layer, Masks


def maskable(module: nn.Module, exclude: Iterable[str], *, fours: bool) -> tuple[dict[str, Layer], Facts]:
    """The Conv2d and Linear layers whose weights may become zero, by name, and why the other weights may not.

    `exclude` holds names or patterns (`*`, `?`); `fours` asks for inputs that are a multiple of 4.
    Raises TechniqueError when a pattern fits no layer or nothing is left.
    """
    known = {name: m for name, m in module.named_modules() if isinstance(m, Layer)}
    for pattern in exclude:
        if not any(fnmatchcase(name, pattern) for name in known):
            raise TechniqueError(f"exclude: no layer {pattern!r}; there are {list(known)}{nearest(pattern, known)}")
    chosen: dict[str, Layer] = {}
    left: Facts = {
        name: "not the weight of a Conv2d or Linear layer"
        for name, p in module.named_parameters()
        if p.dim() > 1 and name.rpartition(".")[0] not in known
    }
    for name, layer in known.items():
        twin = next((n for n, other in chosen.items() if other.weight is layer.weight), None)
        if any(fnmatchcase(name, pattern) for pattern in exclude):
            left[name] = "excluded"
        elif twin is not None:
            left[name] = f"has its weights in common with {twin}"
        elif fours and layer.weight.shape[1] % FOUR:
            left[name] = f"{layer.weight.shape[1]} inputs to an output are not a multiple of 4"
        else:
            chosen[name] = layer
    if not chosen:
        raise TechniqueError(f"no layer can be given zeros: {left or 'there is no Conv2d or Linear layer'}")
    return chosen, left


def zero(module: nn.Module, masks: Masks) -> None:
    """Make the masked weights of `module` zero, in place."""
    with torch.no_grad():
        for name, mask in masks.items():
            weight = module.get_submodule(name).weight
            assert isinstance(weight, Tensor)
            masks[name] = mask.to(weight.device)
            weight.masked_fill_(masks[name], 0)


@contextmanager
def held(module: nn.Module, masks: Masks, renew: Callable[[int], Masks | None] = lambda _: None) -> Iterator[None]:
    """Keep the masked weights at zero while `module` is trained inside, whatever the optimizer does to them.

    It is done before every forward pass, so no training loop need know; the momentum of a masked weight is void.
    `renew` is asked before each training step (0, 1, ...) for masks to go on with; None keeps those at hand.
    """
    now, step = dict(masks), 0

    def before(_: nn.Module, __: tuple[object, ...]) -> None:
        nonlocal now, step
        zero(module, now)
        if module.training:
            now = renew(step) or now
            zero(module, now)
            step += 1

    hook = module.register_forward_pre_hook(before)
    try:
        yield
    finally:
        hook.remove()
    zero(module, now)


def zero_share(layers: Mapping[str, Layer]) -> float:
    """Share of zeros among the layers' weights."""
    zeros = sum(int((layer.weight == 0).sum()) for layer in layers.values())
    return zeros / sum(layer.weight.numel() for layer in layers.values())


def sparsity_facts(module: nn.Module, layers: Mapping[str, Layer], left: Facts) -> Facts:
    """What the card says of the zeros: their share in the layers, by layer, and of all parameters."""
    by_layer: dict[str, JsonValue] = {name: round(zero_share({name: layer}), 6) for name, layer in layers.items()}
    total = sum(p.numel() for p in module.parameters())
    return {
        "sparsity": round(zero_share(layers), 6),
        "sparsity_by_layer": by_layer,
        "sparsity_of_all_parameters": round(sum(int((p == 0).sum()) for p in module.parameters()) / total, 6),
        "layers_left_alone": left,
        "speed": "none gained: ONNX Runtime multiplies zeros like other numbers, and model.onnx stays as large; "
        "it compresses better",
    }
