"""Which layers a network cannot bear to have quantized, and the cheapest set of them to leave in float.

After Dong et al., *HAWQ*, 2019 (arXiv:1905.03696), but measured where they estimate: one layer at a time is quantized,
and the network asked again. The search is greedy and ends in a set of which no member can be spared; an exhaustive one
would take 2^layers measurements, so a cheaper set of other layers is not excluded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Score(NamedTuple):
    """How a quantized network answers, against the labels and against the float one."""

    accuracy: float
    agreement: float
    logit_noise: float
    """Mean squared change of the logits over their variance."""


class Choice(NamedTuple):
    """The layers to keep in float, what accuracy is lost then, and how many sets were measured."""

    kept: frozenset[str]
    accuracy_drop: float
    sets_measured: int


def score(logits: Array, reference: Array, labels: Array) -> Score:
    """The Score of `logits` (N, C), where the float network gave `reference` (N, C)."""
    said, before = logits.argmax(axis=1), reference.argmax(axis=1)
    noise = float(np.square(logits - reference, dtype=np.float64).mean() / max(float(reference.var()), 1e-30))
    return Score(float((said == labels).mean()), float((said == before).mean()), noise)


def ranked(alone: Mapping[str, Score], costs: Mapping[str, int]) -> list[str]:
    """Layers in the order in which to keep them in float: the most answers changed for its cost first.

    Where no answer changed, the noise in the logits tells.
    """

    def harm(name: str) -> tuple[float, float, str]:
        cost = max(1, costs[name])
        return (alone[name].agreement - 1) / cost, -alone[name].logit_noise / cost, name

    return sorted(alone, key=harm)


def most_sensitive(alone: Mapping[str, Score]) -> list[str]:
    """Layers by what quantizing each alone does to the answers, the worst first, whatever they cost."""
    return sorted(alone, key=lambda name: (alone[name].agreement, -alone[name].logit_noise, name))


def cheapest(
    order: Iterable[str], costs: Mapping[str, int], drop: Callable[[frozenset[str]], float], budget: float
) -> Choice:
    """Keep layers in float in `order` until `drop(kept)` is within `budget`; then give back what is not needed.

    With all of them in float the drop is 0 by definition, so this ends. The dearest are given back first.
    """
    order = list(order)
    known: dict[frozenset[str], float] = {frozenset(order): 0.0}

    def measured(kept: frozenset[str]) -> float:
        if kept not in known:
            known[kept] = drop(kept)
        return known[kept]

    kept: frozenset[str] = frozenset()
    for name in order:
        if measured(kept) <= budget:
            break
        kept |= {name}
    for name in sorted(kept, key=lambda name: (-costs[name], name)):
        if measured(kept - {name}) <= budget:
            kept -= {name}
    return Choice(kept, measured(kept), len(known) - 1)
