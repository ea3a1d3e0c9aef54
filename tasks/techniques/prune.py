"""Structured pruning: remove whole channels, the ones with the smallest weights first.

Fang et al., *DepGraph: Towards Any Structural Pruning*, 2023 (arXiv:2301.12900), for the groups of channels that must
go together; Li et al., *Pruning Filters for Efficient ConvNets*, 2016 (arXiv:1608.08710), for judging by magnitude.

Use when the network must get faster on ordinary hardware: unlike zeroed weights, removed channels save time everywhere.
Changes the sizes of layers; the layer that gives the logits keeps its classes. Accuracy is won back by imitating the
parent (`recover`). The parent is only read.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from pydantic import Field, JsonValue

from tasks.core.contract import Params as Base
from tasks.core.errors import TechniqueError
from tasks.core.recipe import RecoverParams

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tasks.core.contract import Data, Network, Outcome

TAKES = "torch"
GIVES = "torch"


class Params(Base):
    """How much to remove, and how to recover."""

    ratio: float = Field(gt=0, lt=1, description="share of every layer's channels to remove")
    round_to: int = Field(
        8, ge=1, le=1024, description="keep a multiple of so many channels, the nearest: fast kernels like 8"
    )
    recover: RecoverParams | None = Field(None, description="training that imitates the parent; null: none")


def apply(parent: Network, data: Data, params: Params) -> Outcome:
    """A smaller copy of `parent`. Raises TechniqueError when no layer could be made narrower."""
    from dataclasses import replace

    from tasks.core.changes import resize_between
    from tasks.core.contract import Outcome
    from tasks.core.imitate import recover
    from tasks.core.shape import count_macs, count_parameters, example, spec_of

    module = copy.deepcopy(parent.module).eval()
    inputs = example(spec_of(data), 2)
    output = output_layer(module, inputs)
    remove_channels(module, inputs, params, keep=module.get_submodule(output))
    change = resize_between(parent.module, module)
    if change is None:
        raise TechniqueError(
            f"prune: ratio {params.ratio} with round_to {params.round_to} removes no channel of any layer; "
            f"the layers have {sorted(set(_widths(module).values()))}: raise ratio or lower round_to"
        )
    network = replace(parent, module=module).with_change(change)
    facts: dict[str, JsonValue] = {
        "parameters_before": count_parameters(parent.module),
        "parameters_after": count_parameters(module),
        "macs_before": count_macs(parent.module, inputs),
        "macs_after": count_macs(module, inputs),
        **layers_touched(parent.module, module, output, params.round_to),
    }
    if params.recover is not None:
        facts |= recover(network, parent, data, params.recover)
    return Outcome(network, facts)


def output_layer(module: nn.Module, inputs: tuple[Tensor, ...]) -> str:
    """The name of the last Conv2d or Linear layer to run: the one that gives the logits."""
    import torch
    from torch import nn

    ran: list[str] = []
    hooks = [
        m.register_forward_hook(lambda *_, name=name: ran.append(name))
        for name, m in module.named_modules()
        if isinstance(m, nn.Conv2d | nn.Linear)
    ]
    with torch.no_grad():
        module(*inputs)
    for hook in hooks:
        hook.remove()
    if not ran:
        raise TechniqueError("prune: the network has no Conv2d or Linear layer")
    return ran[-1]


def remove_channels(module: nn.Module, inputs: tuple[Tensor, ...], params: Params, *, keep: nn.Module) -> None:
    """Remove channels from every group of layers that must go together, in place; the outputs of `keep` stay."""
    import torch
    import torch_pruning as tp

    graph = tp.DependencyGraph().build_dependency(module, inputs)
    importance = tp.importance.GroupMagnitudeImportance(p=2)
    for group in graph.get_all_groups(ignored_layers=[keep], root_module_types=[torch.nn.Conv2d, torch.nn.Linear]):
        if any(_is_grouped(dependency.target.module) for dependency, _ in group):
            continue
        scores = importance(group)
        n = len(scores) - channels_kept(len(scores), params.ratio, params.round_to)
        if n > 0:
            group.prune(idxs=sorted(torch.argsort(scores, stable=True)[:n].tolist()))
    module.zero_grad(set_to_none=True)


def channels_kept(channels: int, ratio: float, round_to: int) -> int:
    """The multiple of `round_to` nearest to channels x (1 - ratio): at least one multiple, at most all channels.

    Of two equally near ones the larger. A layer narrower than `round_to` keeps all.
    """
    multiples = int(channels * (1 - ratio) / round_to + 0.5)
    return min(channels, max(1, multiples) * round_to)


def _is_grouped(layer: nn.Module) -> bool:
    """A convolution in groups that is not depthwise: its channels cannot be removed one by one."""
    from torch import nn

    return isinstance(layer, nn.Conv2d) and 1 < layer.groups < layer.out_channels


def layers_touched(before: nn.Module, after: nn.Module, output: str, round_to: int) -> dict[str, JsonValue]:
    """{layers_changed: [...], layers_left_alone: {name: why}} of the Conv2d and Linear layers' outputs."""
    old, new = _widths(before), _widths(after)
    changed: list[JsonValue] = [name for name in old if new[name] != old[name]]
    left: dict[str, JsonValue] = {}
    for name, width in ((name, width) for name, width in old.items() if new[name] == width):
        if name == output:
            left[name] = "gives the logits"
        elif _is_grouped(before.get_submodule(name)):
            left[name] = "a convolution in groups, or tied to one"
        else:
            left[name] = f"no smaller multiple of {round_to} is nearer to what its {width} outputs should become"
    return {"layers_changed": changed, "layers_left_alone": left}


def _widths(module: nn.Module) -> dict[str, int]:
    from torch import nn

    layers: list[tuple[str, Any]] = [(n, m) for n, m in module.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return {name: len(m.weight) for name, m in layers}
