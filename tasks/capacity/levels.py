"""results/capacity.json: what a sweep of concurrency over one replica found.

Times are milliseconds, rates are a second, memory is in MB (10^6 bytes), CPU is in cores (CPU seconds a second).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.core.artifact import RESULTS
from tasks.core.findings import Noise
from tasks.core.frozen import Frozen
from tasks.core.results import Machine

CAPACITY = RESULTS / "capacity.json"
QUANTILES = (*(i / 20 for i in range(20)), 0.99, 1.0)
Who = Literal["split", "control", "treatment"]


class Level(Frozen):
    """One concurrency, closed loop: so many clients that each send their next request when the last is answered.

    Rates, times and CPU are medians over the rounds; `quantiles_ms`, at `QUANTILES`, are of all rounds together.
    `failed` counts answers other than 200 and broken connections by what they were. `in_flight` is throughput times
    mean latency: by Little's law it is `concurrency`, less what waited in the load generator, which itself took
    `generator_cores`.
    """

    concurrency: int = Field(ge=1)
    answered: int
    failed: dict[str, int] = Field(default_factory=dict)
    requests_per_s: float = Field(gt=0)
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    in_flight: float
    cpu_cores: float
    cpu_ms_per_request: float
    rss_mb: float
    pss_mb: float | None
    generator_cores: float
    quantiles_ms: tuple[float, ...]


class Knee(Frozen):
    """The largest concurrency that keeps the latency, and its throughput; `saturated`: it gives nearly all there is."""

    concurrency: int
    requests_per_s: float
    p95_ms: float
    saturated: bool
    sentence: str


class Safe(Frozen):
    """The largest rate of arrivals at random (Poisson) that keeps the latency, and what is in flight then, on average.

    A closed loop never has more in flight than its clients; arrivals at random do, so this is less than the knee.
    """

    arrivals_per_s: float
    in_flight: float
    cpu_cores: float


class Capacity(Frozen):
    """results/capacity.json. `who` answered: the split that the package asks for, or one model for all.

    `treatment_share` is the share of users whom the treatment answered. `pinned_cores` is how many cores the replica
    was held to, 0 where it was not; `models_mb` both models' files. `max_concurrency` is where a replica should answer
    429. `knee` is null when no concurrency keeps the latency, `safe` when no rate does.
    """

    control: str
    treatment: str
    package_sha256: str
    who: Who
    treatment_share: float
    sla_ms: float
    rounds: int
    seconds_per_level: float
    workers: int
    threads: int
    pinned_cores: int
    models_mb: float
    cold_start_s: float
    max_concurrency: int
    levels: tuple[Level, ...]
    knee: Knee | None
    safe: Safe | None
    warnings: tuple[str, ...]
    machine: Machine
    noise: Noise
