"""What the autoscaling files should say of a replica that was measured."""

from __future__ import annotations

import math

from tasks.capacity.autoscaler import TOLERANCE
from tasks.capacity.levels import Capacity, Level
from tasks.deploy.autoscale import Sizing

IN_FLIGHT_SHARE = 0.7  # of the knee
ABOVE_SAFE = 1.2  # requests in flight must not ask for more while requests a second are as they should be
MEMORY_ROOM = 1.25
HOT_SWAP = 2  # times both models: the new ones beside the old ones, and the bytes they are read from
CPU_STEP_M, MEMORY_STEP_MI = 50, 64
CPU_PERCENT = (10, 95)
MI = 2**20


def measured(planned: Sizing, capacity: Capacity) -> Sizing:
    """`planned` with the figures of one replica replaced; as it is, and saying why, when nothing keeps the latency."""
    knee, safe = capacity.knee, capacity.safe
    if knee is None or safe is None:
        why = f"Measured, but even one request at a time does not keep 80 % of {capacity.sla_ms:g} ms. "
        return planned.model_copy(update={"origin": why + planned.origin})
    at_knee = next(level for level in capacity.levels if level.concurrency == knee.concurrency)
    cpu_m = _up(1000 * at_knee.cpu_cores, CPU_STEP_M)
    percent = math.floor(100 * safe.cpu_cores / (cpu_m / 1000) / (1 + TOLERANCE))
    return planned.model_copy(
        update={
            "origin": _origin(capacity),
            "target_concurrency": knee.concurrency,
            "target_in_flight": max(IN_FLIGHT_SHARE * knee.concurrency, ABOVE_SAFE * safe.in_flight),
            "target_requests_per_s": safe.arrivals_per_s / (1 + TOLERANCE),
            "target_cpu_percent": min(max(percent, CPU_PERCENT[0]), CPU_PERCENT[1]),
            "cpu": f"{cpu_m}m",
            "memory": f"{_memory_mi(capacity)}Mi",
            "startup_s": capacity.cold_start_s,
            "concurrency": capacity.max_concurrency,
        }
    )


def memory_mb(level: Level) -> float:
    """What a level held, shared pages once where that is told."""
    return level.rss_mb if level.pss_mb is None else level.pss_mb


def _memory_mi(capacity: Capacity) -> int:
    """The most that was held, with room, and with a change of models on the way."""
    most = max(memory_mb(level) for level in capacity.levels)
    return _up((MEMORY_ROOM * most + HOT_SWAP * capacity.models_mb) * 1e6 / MI, MEMORY_STEP_MI)


def _up(value: float, step: int) -> int:
    return max(1, math.ceil(value / step)) * step


def _origin(capacity: Capacity) -> str:
    knee = capacity.knee
    assert knee is not None
    who = "the split" if capacity.who == "split" else f"the {capacity.who} alone"
    return (
        f"Measured by `stillroom capacity` on {capacity.machine.cpu}: concurrency {knee.concurrency} gives"
        f" {knee.requests_per_s:.0f} requests a second with p95 {knee.p95_ms:.0f} of {capacity.sla_ms:g} ms,"
        f" {who} of {capacity.control} and {capacity.treatment}, package {capacity.package_sha256[:12]}."
    )
