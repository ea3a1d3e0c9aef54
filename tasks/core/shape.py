"""Building a network for a data set, and counting what is in it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from inspect import signature
from typing import Any

import torch
from pydantic_core import to_jsonable_python
from torch import Tensor, nn

from tasks.core.contract import Data, Network
from tasks.core.errors import TechniqueError
from tasks.core.frozen import Frozen
from tasks.core.layers import Normalized
from tasks.core.log_mel import LogMel
from tasks.core.preprocess import Sound


class Spec(Frozen):
    """What a network needs to know of its data: row shapes and element types by input name, classes, normalisation.

    `vocab`: token ids are below it; 0 for data that are no text. `sound`: None for data that are none.
    """

    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    classes: tuple[str, ...]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    vocab: int = 0
    sound: Sound | None = None


def spec_of(data: Data) -> Spec:
    """The Spec of `data`; the order of the inputs is the order of the network's arguments."""
    inputs = data.train.inputs
    return Spec(
        shapes={name: tuple(rows.shape[1:]) for name, rows in inputs.items()},
        dtypes={name: str(rows.dtype) for name, rows in inputs.items()},
        classes=tuple(data.classes),
        mean=data.preprocess.mean,
        std=data.preprocess.std,
        vocab=data.preprocess.vocab,
        sound=data.preprocess.sound,
    )


def build_like(block: Mapping[str, Any], data: Data) -> Network:
    """The untrained network of a `model:` block (`arch` names tasks/models/<arch>.py), sized for `data`.

    Weights come from torch's global generator. Raises TechniqueError when the architecture cannot take such data.
    """
    return construct(block, spec_of(data))


def construct(block: Mapping[str, Any], spec: Spec) -> Network:
    """As `build_like`, from a Spec. A network of one input takes it raw; of several, each as it is.

    Of a sound the architecture sees the picture that tasks.core.log_mel makes of it.

    An architecture that was fetched from elsewhere says in `remembered` which keys build it again without that.
    """
    own = {key: value for key, value in block.items() if key != "arch"}
    shape = next(iter(spec.shapes.values())) if spec.sound is None else (1, spec.sound.mels, spec.sound.frames)
    build = import_module(f"tasks.models.{block['arch']}").build
    if "vocab" in signature(build).parameters:
        own["vocab"] = spec.vocab
    elif len(spec.shapes) > 1:
        raise TechniqueError(
            f"model: {block['arch']} takes one input, the data have {', '.join(spec.shapes)}; texts: bert, huggingface"
        )
    body: nn.Module = build(shape=shape, classes=len(spec.classes), **own)
    block = {**block, **getattr(body, "remembered", {})}
    if spec.sound is not None:
        body = LogMel(body, spec.sound)
    elif len(spec.shapes) == 1:
        body = Normalized(body, spec.mean, spec.std, len(shape))
    # The plan's checked blocks hold tuples, which JSON has not: as model.json will give it back.
    return Network(body.eval(), to_jsonable_python(dict(block)))


def body_of(module: nn.Module) -> nn.Module:
    """The architecture itself, without what makes the raw input fit for it."""
    return module.body if isinstance(module, Normalized) else module


def example(spec: Spec, rows: int) -> tuple[Tensor, ...]:
    """Zero inputs of `rows` rows, in the order of the network's arguments."""
    return tuple(
        torch.zeros(rows, *shape, dtype=getattr(torch, spec.dtypes[name])) for name, shape in spec.shapes.items()
    )


def count_parameters(module: nn.Module) -> int:
    """Trainable and fixed parameters; buffers are not counted."""
    return sum(p.numel() for p in module.parameters())


def count_macs(module: nn.Module, inputs: tuple[Tensor, ...]) -> int:
    """Multiply-accumulates of the Conv2d and Linear layers for one row of `inputs`."""
    total = 0

    def add(layer: nn.Module, _: Any, out: Tensor) -> None:
        nonlocal total
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        total += layer.weight[0].numel() * out[0].numel()

    layers = [m for m in module.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    with torch.no_grad():
        module(*(x[:1] for x in inputs))
    for hook in hooks:
        hook.remove()
    return total
