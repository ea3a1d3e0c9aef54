"""Binary and ternary weights: each becomes plus or minus one number an output, or that or zero.

Courbariaux et al., *Binarized Neural Networks*, 2016 (arXiv:1602.02830), for training through the step; Rastegari et
al., *XNOR-Net*, 2016 (arXiv:1603.05279), for the scale; Li et al., *Ternary Weight Networks*, 2016 (arXiv:1605.04711).

Use when the file must be as small as can be, 1 or 2 bits a weight, and accuracy may be lost: small networks lose much
of it, and without `recover` nearly all. Activations stay float.
Changes the values of Conv2d and Linear weights, by default not the first layer's nor the last's. Nothing gets faster
and `model.onnx` stays as large: ONNX Runtime has no kernel for such weights and multiplies them as floats.
`model.srz` has what would be shipped: signs and scales, whose products are the weights bit for bit. Put it last:
training other than by `recover` ends it. The parent is only read.
Costs the epochs of `recover`, each step with a pass of the parent. In the zoo (benchmarks/RESULTS.md) latency was 0.99
to 1.00 of the parent's, `model.srz` 23 times (binary) and 17 times (ternary) smaller than its `model.onnx`, for 0.15
and 0.14 points on Fashion-MNIST, 1.09 and 0.28 on CIFAR-10.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from tasks.core.contract import Params as Base
from tasks.core.errors import TechniqueError
from tasks.core.recipe import RecoverParams

if TYPE_CHECKING:
    from torch import nn

    from tasks.core.contract import Data, Facts, Network, Outcome
    from tasks.core.sparsity import Layer

TAKES = "torch"
GIVES = "torch"
FILE = "model.srz"
BITS = {"binary": 1, "ternary": 2}


class Params(Base):
    """How many values, and where."""

    levels: Literal["binary", "ternary"] = Field("binary", description="two values an output, or three with zero")
    ends: bool = Field(False, description="also the first layer and the last, which cost the most accuracy")
    exclude: tuple[str, ...] = Field((), description="layers to leave alone: names as on the card, or patterns with *")
    coder: Literal["huffman", "ans"] = Field("huffman", description="of model.srz; ans needs the extra `srz`")
    recover: RecoverParams | None = Field(None, description="training that imitates the parent; null: none")


def apply(parent: Network, data: Data, params: Params) -> Outcome:
    """A copy of `parent` of such weights, and its file. Raises TechniqueError when no layer is left to change."""
    from dataclasses import replace

    import torch

    from tasks.core import srz
    from tasks.core.binary import parts, stepped
    from tasks.core.contract import Outcome
    from tasks.core.fit import accuracy
    from tasks.core.imitate import recover

    module = copy.deepcopy(parent.module).eval()
    layers, left = chosen(module, data, params)
    srz.check(params.coder)
    network = replace(parent, module=module)
    trained: Facts = {}
    with stepped(layers, params.levels):
        if params.recover is not None:
            trained = recover(network, parent, data, params.recover)
    val, processor = data.split("val"), torch.device("cpu")
    encoded = srz.encode(parts(module, layers), params.coder)
    facts: Facts = {
        "layers_changed": [*layers],
        "layers_left_alone": left,
        "parent_val_accuracy": round(accuracy(parent.module.eval(), val, processor), 6),
        **trained,
        "val_accuracy": round(accuracy(module.eval(), val, processor), 6),
        "packed_bytes": packed_bytes(module, layers, params.levels),
        "float_bytes": 4 * sum(p.numel() for p in module.parameters()),
        "srz_bytes": len(encoded.data),
        "zero_share": zero_share(layers),
        "speed": "none gained: ONNX Runtime multiplies these weights as floats, and model.onnx stays as large",
    }
    return Outcome(network, facts, {FILE: encoded.data})


def chosen(module: nn.Module, data: Data, params: Params) -> tuple[dict[str, Layer], Facts]:
    """The layers to change, by name, and why the others are left alone."""
    from tasks.core.masks import maskable

    layers, left = maskable(module, params.exclude, fours=False)
    if not params.ends:
        order = run_order(module, data)
        for name, place in ((order[0], "first"), (order[-1], "last")):
            if layers.pop(name, None) is not None:
                left[name] = f"the {place} layer; `ends: true` changes it"
    if not layers:
        raise TechniqueError(f"binarize: no layer is left to change: {left}; `ends: true` takes the first and the last")
    return layers, left


def run_order(module: nn.Module, data: Data) -> list[str]:
    """The Conv2d and Linear layers in the order in which they run."""
    import torch

    from tasks.core.shape import example, spec_of
    from tasks.core.sparsity import Layer

    order: list[str] = []
    hooks = [
        m.register_forward_hook(lambda *_, name=name: order.append(name))
        for name, m in module.named_modules()
        if isinstance(m, Layer)
    ]
    with torch.no_grad():
        module(*example(spec_of(data), 2))
    for hook in hooks:
        hook.remove()
    return order


def packed_bytes(module: nn.Module, layers: dict[str, Layer], levels: str) -> int:
    """1 or 2 bits a changed weight, in whole bytes a layer, 4 bytes a scale, and 4 a parameter of the rest."""
    weights = [layer.weight for layer in layers.values()]
    rest = sum(p.numel() for p in module.parameters()) - sum(w.numel() for w in weights)
    return 4 * rest + sum(-(-w.numel() * BITS[levels] // 8) + 4 * len(w) for w in weights)


def zero_share(layers: dict[str, Layer]) -> float:
    """Share of zeros among the changed weights."""
    total = sum(layer.weight.numel() for layer in layers.values())
    return round(sum(int((layer.weight == 0).sum()) for layer in layers.values()) / total, 6)
