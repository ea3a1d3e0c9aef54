"""How Kubernetes' HorizontalPodAutoscaler decides, alone or under KEDA, as its documentation and source describe it.

For each metric, desired = ceil(sum of the metric / target a replica), within a tolerance of 10 % as it is; of several
metrics the largest counts. Up at most to twice as many or four more every 15 s; down to the largest number that was
wanted within the stabilisation window. Replicas that are still starting count as replicas that use nothing. Above zero
replicas KEDA hands its metrics to such an autoscaler, which asks every 15 s whatever `pollingInterval` says.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

SYNC_S = 15.0
TOLERANCE = 0.1
UP_AT_ONCE = 4
Metric = Literal["in_flight", "requests_per_s", "cpu_cores"]


@dataclass(frozen=True)
class Rules:
    """`targets` a replica, each metric averaged over `window_s` before it is looked at."""

    name: str
    targets: Mapping[Metric, float]
    least: int
    most: int
    window_s: float
    down_after_s: float


class Autoscaler:
    """One autoscaler's memory: what it wanted lately."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._wanted: deque[tuple[float, int]] = deque()

    def decide(self, at_s: float, replicas: int, totals: Mapping[Metric, float]) -> int:
        """How many replicas from now on, of `replicas` ready or starting, when all together measure `totals`."""
        rules = self.rules
        wanted = max(wish(replicas, totals[metric], target) for metric, target in rules.targets.items())
        wanted = min(max(wanted, rules.least), rules.most)
        self._wanted.append((at_s, wanted))
        while self._wanted[0][0] < at_s - rules.down_after_s:
            self._wanted.popleft()
        if wanted < replicas:
            return min(replicas, max(n for _, n in self._wanted))
        return min(wanted, max(2 * replicas, replicas + UP_AT_ONCE))


def wish(replicas: int, total: float, target: float) -> int:
    """How many replicas one metric asks for."""
    return replicas if abs(total / (target * replicas) - 1) <= TOLERANCE else math.ceil(total / target - 1e-9)
