"""A day on paper: how many replicas a policy has at every moment, what they cost, and whom they keep waiting.

Discrete time. In every step the load is split evenly over the ready replicas, and each is in its steady state
(`station`): a replica forgets within a second, a step is several. A replica that is asked for serves after `startup_s`
and is paid for at once; one that is let go is gone at once. Metrics are scraped every 15 s and averaged.

*Not in it*: nodes that must be bought first, images that must be pulled, balancers that split unevenly, clients that
ask again when they are refused, and the minutes in which a real metric pipeline lags.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from tasks.capacity.autoscaler import SYNC_S, Autoscaler, Metric, Rules
from tasks.capacity.moments import Moment, World, play
from tasks.capacity.station import LATE_MOST
from tasks.core.frozen import Frozen

SCRAPE_S = 15.0


class Day(Frozen):
    """One policy over the day. Shares are of all requests; in a bad minute over 5 % were late or refused."""

    policy: str
    replica_hours: float
    cost: float
    requests: float
    late_share: float
    refused_share: float
    bad_minutes: int
    replicas_least: int
    replicas_most: int
    changes: int
    replicas: tuple[int, ...]


def fixed(world: World, name: str, replicas: int) -> Day:
    """The day with always the same number."""
    return _summed(world, name, [*play(world, replicas, lambda *_: replicas)])


def scaled(world: World, rules: Rules) -> Day:
    """The day under an autoscaler, which begins with what it would settle on for the first load."""
    decide = Autoscaler(rules).decide
    samples: deque[dict[Metric, float]] = deque(maxlen=max(1, round(rules.window_s / SCRAPE_S)))
    rng = None if world.noise is None else np.random.default_rng(world.noise)

    def policy(at_s: float, moment: Moment) -> int:
        if at_s % SCRAPE_S == 0:
            samples.append(_measured(world, moment, rng))
        if at_s % SYNC_S:
            return moment.replicas
        means = {metric: sum(one[metric] for one in samples) / len(samples) for metric in rules.targets}
        return decide(at_s, moment.replicas, means)

    return _summed(world, rules.name, [*play(world, _settled(world, rules), policy)])


def needed(arrivals_per_s: float, safe_per_s: float) -> int:
    """The fewest replicas of which none gets more than the safe rate; at least one."""
    return max(1, math.ceil(arrivals_per_s / safe_per_s - 1e-9))


def _measured(world: World, moment: Moment, rng: np.random.Generator | None) -> dict[Metric, float]:
    """The metrics over all ready replicas, as one scrape sees them. A refusal is a request that was answered, too."""
    steady, ready = moment.steady, moment.ready
    seen = rng.normal(0.0, steady.spread * math.sqrt(ready)) if rng is not None else 0.0
    return {
        "in_flight": max(0.0, ready * steady.in_flight + seen),
        "requests_per_s": moment.arrivals_per_s,
        "cpu_cores": ready * steady.answered_per_s * world.station.cpu_s,
    }


def _settled(world: World, rules: Rules) -> int:
    """The fewest replicas with which every metric is at most its target under the first load."""
    first = float(world.arrivals_per_s[0])
    for replicas in range(max(1, rules.least), rules.most):
        found = _measured(
            world, Moment(replicas, replicas, first, world.station.steady(first / replicas, world.sla_ms)), None
        )
        if all(found[metric] <= target * replicas for metric, target in rules.targets.items()):
            return replicas
    return rules.most


def _summed(world: World, name: str, moments: list[Moment]) -> Day:
    replicas = np.array([m.replicas for m in moments])
    arrivals, late, refused = (
        np.array(values)
        for values in zip(*((m.arrivals_per_s, m.late_per_s, m.refused_per_s) for m in moments), strict=True)
    )
    per_minute = max(1, round(60 / world.step_s))
    whole = len(moments) // per_minute * per_minute
    hurt, asked = ((a[:whole].reshape(-1, per_minute)).sum(axis=1) for a in (late + refused, arrivals))
    hours = float(replicas.sum() * world.step_s / 3600)
    total = max(float(arrivals.sum()), 1e-300)
    return Day(
        policy=name,
        replica_hours=hours,
        cost=hours * world.price_per_replica_hour,
        requests=float(arrivals.sum() * world.step_s),
        late_share=float(late.sum()) / total,
        refused_share=float(refused.sum()) / total,
        bad_minutes=int((hurt > LATE_MOST * asked).sum()),
        replicas_least=int(replicas.min()),
        replicas_most=int(replicas.max()),
        changes=int(np.count_nonzero(np.diff(replicas))),
        replicas=tuple(replicas[::per_minute].tolist()),
    )
