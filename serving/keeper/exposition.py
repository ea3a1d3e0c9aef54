"""What Prometheus reads at the keeper's /metrics: the row, every rule's numbers, drift, decisions and workers.

Made anew from one snapshot at each scrape, so that a rule, a feature or a worker that is gone leaves no figure behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.control.state import State
from serving.keeper.judge.drift import Distance
from serving.keeper.judge.finding import Finding

K = TypeVar("K", bound=tuple[str, ...])
OUTCOMES = ("within", "unclear", "harm")
FEATURES = 20  # with the largest PSI


@dataclass(frozen=True)
class Snapshot:
    """What there is to tell after a tick. `workers` counts them as live, behind (of the row) and failing."""

    row: State | None = None
    findings: tuple[Finding, ...] = ()
    waits: tuple[str, ...] = ()
    distances: Mapping[str, Distance] = field(default_factory=dict)
    workers: Mapping[str, int] = field(default_factory=dict)
    decisions: Mapping[tuple[str, str], int] = field(default_factory=dict)
    notices: Mapping[tuple[str, str], int] = field(default_factory=dict)
    judged_s: float = 0.0


class Exposition(Collector):
    """Collects from the latest snapshot."""

    def __init__(self) -> None:
        self.snapshot = Snapshot()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        """In the text format of Prometheus."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Prometheus's own name for it."""
        now = self.snapshot
        yield _gauge("judged_timestamp_seconds", "When the judge last judged, by the store's clock.", now.judged_s)
        if now.row is not None:
            yield _gauge("generation", "Of the control row.", now.row.generation)
            yield _gauge("share", "Of users who are to get the treatment.", now.row.share)
            yield _gauge("stage", "Of the rollout; -1 = none.", now.row.stage)
            modes = {(mode,): float(mode == now.row.mode) for mode in ("rolling", "settled", "rolled_back", "held")}
            yield _gauges("mode", "1 for the row's.", ("mode",), modes)
        outcomes = {(f.rule, o): float(f.outcome == o) for f in now.findings for o in OUTCOMES}
        yield _gauges("finding", "1 for the outcome that each rule has.", ("rule", "outcome"), outcomes)
        numbers = {(f.rule, name): n for f in now.findings for name, n in f.numbers.items()}
        yield _gauges("finding_number", "What each finding rests on.", ("rule", "name"), numbers)
        top = sorted(now.distances.items(), key=lambda one: -one[1].psi)[:FEATURES]
        for name, what in (("psi", "Population stability index"), ("ks", "Kolmogorov-Smirnov distance")):
            values = {(feature,): float(getattr(d, name)) for feature, d in top}
            yield _gauges(f"drift_{name}", f"{what} of the latest window from val.", ("feature",), values)
        workers = {(state,): float(n) for state, n in now.workers.items()}
        yield _gauges("workers", "Seen lately; of them behind the row; of them with an error.", ("state",), workers)
        yield _counter(
            "decisions",
            "Changes of the row, and alarms; by the judge or by a token's holder.",
            ("kind", "by"),
            now.decisions,
        )
        yield _counter(
            "notices", "Letters, by where they went and what became of them.", ("to", "outcome"), now.notices
        )


def counted(posts: Mapping[str, Counter[str]]) -> dict[tuple[str, str], int]:
    """{(to, outcome): letters}."""
    return {(to, outcome): n for to, counts in posts.items() for outcome, n in counts.items()}


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"stillroom_keeper_{name}", about, value=value)


def _gauges(name: str, about: str, labels: tuple[str, ...], values: Mapping[K, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"stillroom_keeper_{name}", about, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _counter(name: str, about: str, labels: tuple[str, ...], values: Mapping[K, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"stillroom_keeper_{name}", about, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family
