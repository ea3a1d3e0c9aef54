"""The rollout at a glance, as the keeper's /status.json tells it (serving/keeper/status.py)."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from tasks.live.shapes import Event, Row, Told


class Answers(Told):
    """One variant's answers in this generation; null where there are none. `accuracy` is by labelled feedback."""

    requests: int
    errors: int
    refused: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    confidence: float | None
    labelled: int
    accuracy: float | None


class Shadow(Told):
    """The treatment's answers against the control's, row by row."""

    compared: int
    agreement: float | None
    kl_nats: float | None
    dropped: int
    failed: int
    flips: Mapping[str, int]


class Process(Told):
    """A worker: whether it follows the row, and what keeps it from that."""

    worker: str
    generation: int
    follows: bool
    away: bool
    age_s: float
    error: str
    rss_mb: float
    cpu_s: float


class Found(Told):
    """One rule of the judge: within its limit, unclear, or harm."""

    rule: str
    outcome: str
    sentence: str


class Glance(Told):
    """All of it."""

    now_s: float
    state: Row | None
    stages: tuple[float, ...]
    control: Answers
    treatment: Answers
    shadow: Shadow
    cache_hit_rate: float | None
    findings: tuple[Found, ...] = ()
    workers: tuple[Process, ...] = ()
    events: tuple[Event, ...] = Field((), description="the last ones, latest first")
