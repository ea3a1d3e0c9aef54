"""What GET /status.json says: figures of each variant, of the shadow and of every worker, and what the judge found."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from serving.control.state import Event, State
from serving.shapes import Frozen


class VariantStatus(Frozen):
    """One variant's answers; null where there are none yet. `accuracy` is by labelled feedback."""

    requests: int
    rows: int
    errors: int
    refused: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    confidence: float | None = Field(description="mean probability of the given label")
    labelled: int
    accuracy: float | None


class ShadowStatus(Frozen):
    """The treatment's answers against the control's; `flips` has the most frequent first."""

    compared: int
    agreement: float | None
    kl_nats: float | None = Field(description="mean KL(control || treatment) a row")
    dropped: int
    failed: int
    flips: dict[str, int]


class WorkerStatus(Frozen):
    """One worker, and whether it follows the row."""

    worker: str
    generation: int
    follows: bool
    away: bool
    age_s: float
    error: str
    rss_mb: float
    cpu_s: float


class Status(Frozen):
    """All of it."""

    now_s: float
    state: State | None
    stages: tuple[float, ...]
    control: VariantStatus
    treatment: VariantStatus
    shadow: ShadowStatus
    cache_hit_rate: float | None
    findings: tuple[Any, ...] = Field(description="of the judge: rule, outcome, sentence, numbers")
    workers: tuple[WorkerStatus, ...]
    events: tuple[Event, ...] = Field(description="the last ones, latest first")
