"""What a day on paper is made of: the load and a replica, and what becomes of the replicas step after step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.capacity.station import Station, Steady

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class World:
    """What every policy meets: the load (steps,), a replica, the promise, and how long a replica takes to start.

    `noise`: a seed, and the in-flight metric is what a scrape sees of arrivals at random; None: always its mean.
    """

    arrivals_per_s: Array
    step_s: float
    station: Station
    sla_ms: float
    startup_s: float
    price_per_replica_hour: float
    noise: int | None = None


@dataclass(frozen=True)
class Moment:
    """One step."""

    replicas: int
    ready: int
    arrivals_per_s: float
    steady: Steady

    @property
    def refused_per_s(self) -> float:
        """Requests answered 429."""
        return self.arrivals_per_s * self.steady.refused_share

    @property
    def late_per_s(self) -> float:
        """Answers later than promised."""
        return (self.arrivals_per_s - self.refused_per_s) * self.steady.late_share


def play(world: World, replicas: int, policy: Callable[[float, Moment], int]) -> Iterator[Moment]:
    """Step after step: who has started, what they meet, and what the policy makes of it."""
    ready, starting, known = replicas, deque[float](), dict[float, Steady]()
    for step, rate in enumerate(world.arrivals_per_s.tolist()):
        at_s = step * world.step_s
        while starting and starting[0] <= at_s:
            starting.popleft()
            ready += 1
        key = float(f"{rate / ready:.4g}")
        if key not in known:
            known[key] = world.station.steady(key, world.sla_ms)
        moment = Moment(ready + len(starting), ready, rate, known[key])
        yield moment
        change = policy(at_s, moment) - moment.replicas
        starting.extend([at_s + world.startup_s] * max(0, change))
        for _ in range(-change):  # those that do not serve yet go first
            if starting:
                starting.pop()
            else:
                ready -= 1
