"""The policies that a day is played under: those of results/autoscale/, and fixed numbers to compare them with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tasks.capacity.autoscaler import Metric, Rules
from tasks.capacity.day import Day, fixed, needed, scaled
from tasks.capacity.levels import CAPACITY, Capacity
from tasks.capacity.moments import World
from tasks.capacity.station import Station
from tasks.core.errors import ArtifactError
from tasks.deploy.autoscale import Sizing

Array = np.ndarray[Any, Any]
STEP_S = 5.0
PROMETHEUS_S, METRICS_SERVER_S = 60.0, 30.0  # over which a metric is averaged before an autoscaler sees it
POD_S = 5.0  # beside the measured start: scheduling and the probe's period; no image to pull, no node to buy


def world_of(capacity: Capacity, load: Array, price_per_core_hour: float, sizing: Sizing) -> World:
    """A day of `load` (steps of STEP_S) on replicas as measured; ArtifactError when none keeps the latency."""
    if capacity.safe is None:
        raise ArtifactError(f"{CAPACITY}: no rate keeps the latency, so no number of replicas does")
    return World(
        arrivals_per_s=load,
        step_s=STEP_S,
        station=Station.of(capacity.levels, capacity.max_concurrency),
        sla_ms=capacity.sla_ms,
        startup_s=capacity.cold_start_s + POD_S,
        price_per_replica_hour=price_per_core_hour * cores(sizing.cpu),
    )


def cores(cpu: str) -> float:
    """Kubernetes' way to say it, as cores."""
    return int(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)


def rules(name: str, targets: Mapping[Metric, float], world: World, sizing: Sizing, safe_per_s: float) -> Rules:
    """An autoscaler with so much headroom that its own upper limit is not what is compared."""
    most = 2 * needed(float(world.arrivals_per_s.max()), safe_per_s)
    window_s = METRICS_SERVER_S if "cpu_cores" in targets else PROMETHEUS_S
    least = max(1, sizing.min_replicas)
    return Rules(name, targets, least, max(most, least), window_s, float(sizing.scale_down_after_s))


def targets(sizing: Sizing) -> dict[str, dict[Metric, float]]:
    """What keda.yaml and hpa.yaml aim at; and what in-flight alone would."""
    assert sizing.target_requests_per_s is not None, "a sizing that was measured"
    in_flight: dict[Metric, float] = {"in_flight": sizing.target_in_flight}
    return {
        "keda.yaml: requests a second and in flight": {"requests_per_s": sizing.target_requests_per_s, **in_flight},
        "in flight alone": in_flight,
        "hpa.yaml: processor use": {"cpu_cores": cores(sizing.cpu) * sizing.target_cpu_percent / 100},
    }


def compared(world: World, sizing: Sizing, safe_per_s: float) -> tuple[Day, ...]:
    """The day under each."""
    load = world.arrivals_per_s
    numbers = {
        "fixed for the highest load": needed(float(load.max()), safe_per_s),
        "fixed for all but 1 % of the day": needed(float(np.quantile(load, 0.99)), safe_per_s),
        "fixed for the mean load": needed(float(load.mean()), safe_per_s),
    }
    return (
        *(fixed(world, name, number) for name, number in numbers.items()),
        *(scaled(world, rules(name, aims, world, sizing, safe_per_s)) for name, aims in targets(sizing).items()),
    )
