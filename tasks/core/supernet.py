"""What a network can shrink to: cut its channels, skip some of its blocks, cut its kernels.

A stage is a run of skippable blocks, one after another, of which the last go first: Cai et al., *Once-for-All*, 2019
(arXiv:1908.09791). A width is a share of a group's channels, of which the first stay: Yu et al., *Slimmable Neural
Networks*, 2018 (arXiv:1812.08928).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

from pydantic import JsonValue
from torch import Tensor, nn

from tasks.core.elastic import stages_of
from tasks.core.errors import TechniqueError
from tasks.core.groups import Group, channel_groups


class Choices(NamedTuple):
    """What may be chosen, the greatest first: shares of channels, shares of a stage's blocks, sizes of kernels."""

    widths: tuple[float, ...]
    depths: tuple[float, ...]
    kernels: tuple[int, ...]


class Config(NamedTuple):
    """One sub-network: a share for each group, the blocks kept of each stage, a size for each elastic kernel."""

    widths: tuple[float, ...]
    depths: tuple[int, ...]
    kernels: tuple[int, ...]


@dataclass(frozen=True)
class Space:
    """All sub-networks of a network. `kernels`: {layer: sizes, the greatest first}; `left`: {layer kept whole: why}."""

    groups: tuple[Group, ...]
    stages: tuple[tuple[str, ...], ...]
    kernels: Mapping[str, tuple[int, ...]]
    choices: Choices
    left: Mapping[str, str]

    def options(self, choices: Choices | None = None) -> tuple[list[Sequence[Any]], ...]:
        """For every place of a Config what may stand there, the greatest first."""
        now = choices or self.choices
        blocks = [sorted({ceil(d * len(s)) for d in now.depths}, reverse=True) for s in self.stages]
        sizes = [[k for k in own if k in now.kernels or k == own[0]] for own in self.kernels.values()]
        return [now.widths for _ in self.groups], list(blocks), list(sizes)

    def pick(self, choose: Callable[[Sequence[Any]], Any], choices: Choices | None = None) -> Config:
        """The Config of what `choose` takes from the options of each place."""
        return Config(*(tuple(choose(options) for options in part) for part in self.options(choices)))

    def greatest(self) -> Config:
        """The whole network."""
        return self.pick(lambda options: options[0])

    def smallest(self, choices: Choices | None = None) -> Config:
        """The least of everything."""
        return self.pick(lambda options: options[-1], choices)

    def uniform(self, width: float) -> Config:
        """Every group at `width`, all blocks, the greatest kernels."""
        return self.greatest()._replace(widths=(width,) * len(self.groups))

    def sample(self, generator: random.Random, choices: Choices) -> Config:
        """At random; every other time with one width for all groups, as a network is often asked for."""
        config = self.pick(generator.choice, choices)
        one, alike = generator.choice(choices.widths), generator.random() < 0.5
        return config._replace(widths=(one,) * len(self.groups)) if alike else config

    def skipped(self, config: Config) -> list[str]:
        """The blocks that `config` leaves out: the last of each stage."""
        return [name for s, kept in zip(self.stages, config.depths, strict=True) for name in s[kept:]]

    def plain(self, config: Config) -> Config:
        """`config` with the greatest choice wherever a skipped block makes it meaningless: equal networks are equal."""
        gone = tuple(f"{name}." for name in self.skipped(config))
        widths = [
            self.choices.widths[0] if gone and all(layer.startswith(gone) for layer in (*g.outs, *g.ins)) else width
            for g, width in zip(self.groups, config.widths, strict=True)
        ]
        kernels = [
            own[0] if gone and name.startswith(gone) else size
            for (name, own), size in zip(self.kernels.items(), config.kernels, strict=True)
        ]
        return Config(tuple(widths), config.depths, tuple(kernels))


def space_of(
    module: nn.Module, inputs: tuple[Tensor, ...], choices: Choices, kernels: Mapping[str, tuple[int, ...]]
) -> Space:
    """What `module` can shrink to. Raises TechniqueError when it has nothing for a choice to choose from."""
    groups, left = channel_groups(module, inputs) if len(choices.widths) > 1 else ((), {})
    stages = stages_of(module) if len(choices.depths) > 1 else ()
    if len(choices.widths) > 1 and not groups:
        raise TechniqueError(f"widths {list(choices.widths)}: no layer of the network can be narrowed: {left}")
    if len(choices.depths) > 1 and not any(len({ceil(d * len(s)) for d in choices.depths}) > 1 for s in stages):
        raise TechniqueError(
            f"depths {list(choices.depths)}: no block of the network can be skipped at these shares; only one that "
            f"adds to its own input can (as in resnet and resnet9), and the stages are {[list(s) for s in stages]}"
        )
    return Space(groups, stages, kernels, choices, left)


def described(space: Space) -> dict[str, JsonValue]:
    """The space for a card."""
    return {
        "channel_groups": {g.name: g.channels for g in space.groups},
        "stages": [list(s) for s in space.stages],
        "elastic_kernels": {name: list(sizes) for name, sizes in space.kernels.items()},
        "layers_left_alone": dict(space.left),
    }
