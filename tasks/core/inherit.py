"""A student that starts from its teacher: as deep a network of some of the teacher's own layers.

Sanh et al., *DistilBERT*, 2019 (arXiv:1910.01108), section 2: a student of the teacher's width and fewer layers takes
one layer out of so many, and everything else, from the teacher.
"""

from __future__ import annotations

import re

import torch
from pydantic import JsonValue
from torch import Tensor, nn

from tasks.core.errors import TechniqueError

LAYER = re.compile(r"^(?P<stack>(?:.*\.)?(?:layer|layers|h|block|blocks))\.(?P<index>\d+)\.(?P<rest>.+)$")
"""How the layers of a stack are named: `encoder.layer.3.attention...`; the outermost stack of a name is meant."""


def spread(student: int, teacher: int) -> tuple[int, ...]:
    """Which of `teacher` layers the `student` layers take: the first, the last and evenly between; one takes the first.

    Six of twelve are 0, 2, 4, 7, 9, 11, as in DistilBERT's own code.
    """
    return tuple(int(k * (teacher - 1) / (student - 1) + 0.5) for k in range(student)) if student > 1 else (0,)


def depths(names: list[str]) -> dict[str, int]:
    """{stack: how many layers it has} among the names of tensors; empty when none is named like a layer of a stack."""
    found: dict[str, int] = {}
    for match in filter(None, map(LAYER.match, names)):
        found[match["stack"]] = max(found.get(match["stack"], 0), int(match["index"]) + 1)
    return found


def skip_layers(student: nn.Module, teacher: nn.Module) -> dict[str, JsonValue]:
    """Copy the teacher's tensors into the student, in place; {stack: the teacher's layer that each of its layers took}.

    Raises TechniqueError when the two do not differ in the number of layers of a stack alone.
    """
    own, theirs = student.state_dict(), teacher.state_dict()
    ours, all_of = depths(list(own)), depths(list(theirs))
    shorter = [stack for stack in ours if ours[stack] < all_of.get(stack, 0)]
    if not shorter:
        raise TechniqueError(
            f"init: skip needs a student with fewer layers than the parent, in stacks such as `encoder.layer.0`; "
            f"found {ours or 'no such stack'} in the student, {all_of or 'none'} in the parent"
        )
    taken = {stack: list(spread(n, all_of.get(stack, n))) for stack, n in ours.items()}
    state: dict[str, Tensor] = {}
    misfits: list[str] = []
    for name, tensor in own.items():
        match = LAYER.match(name)
        source = f"{match['stack']}.{taken[match['stack']][int(match['index'])]}.{match['rest']}" if match else name
        there = tuple(theirs[source].shape) if source in theirs else "nothing"
        if there != tuple(tensor.shape):
            misfits.append(f"{name} {tuple(tensor.shape)}, where the parent has {there}")
        else:
            state[name] = theirs[source]
    if misfits:
        raise TechniqueError(
            "init: skip needs a student that is like the parent but for the number of layers; it has "
            + "; ".join(misfits[:3])
            + (f" and {len(misfits) - 3} more" if len(misfits) > 3 else "")
        )
    with torch.no_grad():
        student.load_state_dict(state)
    return {stack: [*taken[stack]] for stack in shorter}
