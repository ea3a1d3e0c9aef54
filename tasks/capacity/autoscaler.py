"""How Kubernetes' HorizontalPodAutoscaler decides, alone or under KEDA, as its documentation and source describe it.

For each metric, desired = ceil(sum of the metric / target a replica), within a tolerance of 10 % as it is; of several
metrics the largest counts. Up at most to twice as many or four more every 15 s; down to the largest number that was
wanted within the stabilisation window, and by a policy's percent a minute at most. Replicas that are still starting
count as replicas that use nothing. Above zero replicas KEDA hands its metrics to such an autoscaler, which asks every
15 s whatever `pollingInterval` says.
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
DOWN_PERIOD_S = 60.0
Metric = Literal["in_flight", "requests_per_s", "cpu_cores"]


@dataclass(frozen=True)
class Rules:
    """`targets` a replica, each metric averaged over `window_s` before it is looked at.

    `down_percent`: of the replicas there were a minute ago, how many may go; 100 is no limit.
    """

    name: str
    targets: Mapping[Metric, float]
    least: int
    most: int
    window_s: float
    down_after_s: float
    down_percent: int = 100


class Autoscaler:
    """One autoscaler's memory: what it wanted lately, and what it changed."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._wanted: deque[tuple[float, int]] = deque()
        self._changed: deque[tuple[float, int]] = deque()

    def decide(self, at_s: float, replicas: int, totals: Mapping[Metric, float]) -> int:
        """How many replicas from now on, of `replicas` ready or starting, when all together measure `totals`."""
        rules = self.rules
        wanted = max(wish(replicas, totals[metric], target) for metric, target in rules.targets.items())
        wanted = min(max(wanted, rules.least), rules.most)
        self._wanted.append((at_s, wanted))
        while self._wanted[0][0] < at_s - rules.down_after_s:
            self._wanted.popleft()
        if wanted >= replicas:
            decided = min(wanted, max(2 * replicas, replicas + UP_AT_ONCE))
        else:
            decided = min(replicas, max(self._floor(at_s, replicas), *(n for _, n in self._wanted)))
        self._changed.append((at_s, decided - replicas))
        return decided

    def _floor(self, at_s: float, replicas: int) -> int:
        """The fewest that the policy allows now; cut off and not rounded, as Kubernetes does."""
        while self._changed and self._changed[0][0] <= at_s - DOWN_PERIOD_S:
            self._changed.popleft()
        before = replicas - sum(change for _, change in self._changed)
        return int(before * (1 - self.rules.down_percent / 100))


def wish(replicas: int, total: float, target: float) -> int:
    """How many replicas one metric asks for."""
    return replicas if abs(total / (target * replicas) - 1) <= TOLERANCE else math.ceil(total / target - 1e-9)
