"""Variants timed side by side in rounds, each opened anew in every round.

Slow drift of the machine cancels in the ratio of two visits of a round. What does not cancel is an opened session's
own luck: where its weights and buffers came to lie makes it some tenths of a per cent faster or slower for as long as
it lives, so that a file raced against itself in two sessions shows a difference that is none (LOG.md has the figures;
Mytkowicz et al. 2009, "Producing wrong data without doing anything obviously wrong!"). Opened anew in a random order,
every round draws that luck afresh, and the rounds are what a distribution-free interval asks for.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any

import numpy as np

from tasks.core.timing import Call, no_garbage_collection, visit

Array = np.ndarray[Any, Any]
Opener = Callable[[], Sequence[Call]]
"""Opens a model and gives a call for each point."""
WARM_CALLS = 2


@dataclass
class Laps:
    """What one variant did: `calls_ms` by point and round, and by round how long it took to open and answer once."""

    calls_ms: list[list[Array]]
    cold_ms: list[float] = field(default_factory=list)

    @property
    def rounds(self) -> int:
        """How many rounds it has run."""
        return len(self.cold_ms)


def race(
    openers: Mapping[str, Opener],
    points: int,
    round_ms: float,
    seed: int,
    go_on: Callable[[Mapping[str, Laps]], bool],
    between: Callable[[], None] = lambda: None,
) -> dict[str, Laps]:
    """Rounds until `go_on` says no; `between` is called once a round.

    The order is shuffled for every other round and turned round for the next, so that whoever comes first in a round,
    which costs something, does so as often before as after another.
    """
    order, shuffle = list(openers), random.Random(seed)
    laps = {name: Laps([[] for _ in range(points)]) for name in openers}
    with no_garbage_collection():
        while go_on(laps):
            if next(iter(laps.values())).rounds % 2:
                order.reverse()
            else:
                shuffle.shuffle(order)
            for name in order:
                _lap(openers[name], laps[name], round_ms)
            between()
    return laps


def _lap(opener: Opener, laps: Laps, round_ms: float) -> None:
    start = perf_counter_ns()
    calls = opener()
    calls[0]()
    laps.cold_ms.append((perf_counter_ns() - start) / 1e6)
    for call, rounds in zip(calls, laps.calls_ms, strict=True):
        for _ in range(WARM_CALLS):
            call()
        rounds.append(visit(call, round_ms))
