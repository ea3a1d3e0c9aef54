"""Training a network and its sub-networks together.

Yu & Huang, *Universally Slimmable Networks*, 2019 (arXiv:1903.05134): the sandwich rule (each step runs the whole
network, the smallest and some between) and in-place distillation (the others learn from the whole one's answers).
Cai et al., *Once-for-All*, 2019 (arXiv:1908.09791): progressive shrinking (kernels open first, then depths, then
widths, from the greatest choice down). Shapes: N = batch, C = classes.
"""

from __future__ import annotations

import random

import torch
from torch import Tensor, nn

from tasks.core.fit import Batch, Loss
from tasks.core.imitate import blend, imitation_loss
from tasks.core.recipe import RecoverParams
from tasks.core.slices import run
from tasks.core.supernet import Choices, Config, Space


def openings(choices: Choices) -> list[Choices]:
    """The choices as they open one by one, the last being all of them; the first has already one more than none."""
    now = Choices(choices.widths[:1], choices.depths[:1], choices.kernels[:1])
    found = []
    for part in ("kernels", "depths", "widths"):
        values = getattr(choices, part)
        for k in range(2, len(values) + 1):
            now = now._replace(**{part: values[:k]})
            found.append(now)
    return found


def open_at(step: int, steps: int, shrink: float, found: list[Choices]) -> Choices:
    """What is open at `step` of `steps`: the last opening comes before the share `shrink` of them is over."""
    opening = shrink * steps / len(found)
    return found[min(len(found) - 1, int(step / opening) if opening else len(found))]


def configs_for(space: Space, choices: Choices, samples: int, generator: random.Random) -> list[Config]:
    """The sub-networks of one step beside the whole: the smallest that is open, and `samples` at random."""
    return [space.smallest(choices), *(space.sample(generator, choices) for _ in range(samples))]


def sandwich_loss(
    teacher: nn.Module, space: Space, params: RecoverParams, *, samples: int, shrink: float, steps: int
) -> Loss:
    """The sum of the whole network's loss (to `teacher` and the labels) and of its sub-networks' (to the whole).

    The sub-networks of each step are drawn from torch's initial seed, so that the same seed draws the same ones.
    """
    generator = random.Random(torch.initial_seed())
    found = openings(space.choices)
    done = 0

    def loss(model: nn.Module, inputs: Batch, labels: Tensor) -> Tensor:
        nonlocal done
        choices = open_at(done, steps, shrink, found)
        done += 1
        with torch.no_grad():
            parent_NC = teacher(*inputs.values())
        whole_NC = model(*inputs.values())
        losses = [blend(whole_NC, parent_NC, labels, params)]
        for config in configs_for(space, choices, samples, generator):
            part_NC = run(model, space, config, tuple(inputs.values()))
            losses.append(imitation_loss(part_NC, whole_NC.detach(), temperature=params.temperature))
        return torch.stack(losses).sum()

    return loss
