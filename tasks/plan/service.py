"""The shape of rollout.yaml, promotion.yaml and schedule.yaml: who gets the winner, what it must show, when to run."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.core.frozen import Frozen
from tasks.plan.clock import Cron, TimeZone

Share = Annotated[float, Field(ge=0, le=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Stage = Annotated[float, Field(gt=0, le=1)]
URL = "^(https?://.+)?$"
Ceiling = Literal[
    "accuracy_drop",
    "accuracy_drop_estimate",
    "worst_class_drop",
    "worst_class_drop_estimate",
    "worst_group_drop",
    "worst_group_drop_estimate",
    "demographic_parity_difference",
    "equalized_odds_difference",
    "flips",
    "classes_never_predicted",
    "size_mb",
    "latency_ratio",
    "latency_ratio_estimate",
    "latency_p95_ratio",
    "latency_p95_ratio_estimate",
    "latency_p99_ratio",
    "latency_p99_ratio_estimate",
    "portability_disagreement",
    "cost_per_million",
    "joules_per_request",
    "grams_co2_per_million",
]


class Scaling(Frozen):
    """How many replicas the service may have, and when it gets more."""

    min_replicas: int = Field(1, ge=0)
    max_replicas: int = Field(4, ge=1)
    target_concurrency: int = Field(8, ge=1, description="requests in flight a replica aims at")
    target_cpu_percent: int = Field(70, ge=1, le=100)
    cpu: str = Field("1", pattern=r"^[1-9][0-9]*m?$", description="Kubernetes CPU request, as 500m or 2")
    memory: str = Field("1Gi", pattern=r"^[1-9][0-9]*(Mi|Gi)$", description="Kubernetes memory request")
    scale_down_after_s: int = Field(300, ge=0)
    prometheus: str = Field(
        "http://prometheus-server.monitoring.svc:80", pattern="^https?://.+$", description="the address that KEDA asks"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_replicas < self.min_replicas:
            raise ValueError(f"max_replicas of at least min_replicas, {self.min_replicas}")
        return self


class Limits(Frozen):
    """What one request may ask of the service."""

    rows: int = Field(64, ge=1, description="most rows a request")
    body_bytes: int = Field(16_000_000, ge=1024)
    timeout_s: float = Field(10, gt=0)
    concurrency: int = Field(64, ge=1, description="requests in flight before 429")
    drain_s: float = Field(
        1, ge=0, le=20, description="how long a worker that must go still answers, not ready any more"
    )


class Judge(Frozen):
    """When the keeper takes the treatment back, and what it needs to see before it gives it to more users."""

    p95_ms: float = Field(100, gt=0, description="the SLA: at most 5 % of the answers take longer")
    disagreement: Fraction = Field(0.02, description="with the control's answers, above what is expected from `val`")
    fast_disagreement: Fraction = Field(0.15, description="likewise; a drop so large is looked for within a few rows")
    error_rate: Fraction = Field(0.01, description="of requests, answered with 5xx")
    accuracy_drop: float = Field(0.02, ge=0, lt=1, description="below the control's, by labelled feedback")
    alpha: Fraction = Field(0.01, description="chance, per change of the row, of taking back what is within all limits")
    min_rows: int = Field(500, ge=1, description="rows of the treatment before it gets more users")
    hold_s: float = Field(60, ge=0, description="shortest time between two stages")

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.fast_disagreement <= self.disagreement:
            raise ValueError(f"fast_disagreement above disagreement, {self.disagreement:g}")
        return self


class DriftLimits(Frozen):
    """From where on a change of inputs or answers against `val` is called drift; it must also be beyond chance."""

    psi: float = Field(0.2, gt=0, description="population stability index")
    ks: Fraction = Field(0.1, description="largest gap of the cumulative shares")
    min_rows: int = Field(500, ge=1, description="rows a judgement")


class Notify(Frozen):
    """Who is told of decisions and of drift; "" is nobody. STILLROOM_WEBHOOK and STILLROOM_PREFECT_API win."""

    webhook: str = Field("", pattern=URL, description="gets every decision, alarm and drift as JSON by POST")
    prefect_api: str = Field("", pattern=URL, description="gets them as events, as http://127.0.0.1:4200/api")


class Shadow(Frozen):
    """What part of the treatment's requests the full model answers once more, off the way, to be compared."""

    share: Share = Field(0.1, description="of the treatment's requests; 0 = no comparison, and no evidence from it")
    queue: int = Field(256, ge=1, description="rows that may wait; more are dropped and counted")


class Cache(Frozen):
    """Answers that are kept for inputs that come again."""

    entries: int = Field(0, ge=0, description="rows whose answers each worker keeps, until the models change; 0 = none")


class Control(Frozen):
    """Where it stands who is served what, and how soon a change is seen."""

    url: str = Field(
        "sqlite:///.stillroom/control/rollout.db",
        description="sqlite:///PATH for one host, postgresql://... or redis://... for many, empty for none",
    )
    poll_s: float = Field(0.2, ge=0.05, le=60, description="how often a worker looks for a change")


class Rollout(Frozen):
    """params/rollout.yaml: who gets which model, within what limits, on how many replicas."""

    treatment_share: Share = Field(0.1, description="of users, who get the compressed model")
    salt: str = Field("stillroom", min_length=1, description="change it to deal the users anew")
    threads: int = Field(1, ge=1, description="ONNX Runtime threads a model")
    workers: int = Field(1, ge=1, description="service processes")
    limits: Limits = Limits()
    shadow: Shadow = Shadow()
    cache: Cache = Cache()
    scaling: Scaling = Scaling()
    stages: tuple[Stage, ...] = Field(
        (0.01, 0.1, 0.5, 0.9), description="shares on the way to all users; none: the share stays as it is"
    )
    judge: Judge = Judge()
    drift: DriftLimits = DriftLimits()
    notify: Notify = Notify()
    control: Control = Control()

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if any(later <= earlier for earlier, later in zip(self.stages, self.stages[1:], strict=False)):
            raise ValueError("stages that rise")
        return self


class Promotion(Frozen):
    """params/promotion.yaml: the gates, on `test`. A gate left out is not checked."""

    at_most: dict[Ceiling, float] = Field(
        default_factory=dict,
        description="what has a 95 % interval is judged at its upper end, `..._estimate` as measured",
    )
    at_least: dict[Literal["accuracy", "agreement", "macro_f1"], Share] = Field(default_factory=dict)


class Schedule(Frozen):
    """params/schedule.yaml: when to run again."""

    cron: Cron = Field(description="five fields, as for crontab")
    timezone: TimeZone = Field("UTC", description="an IANA name")
    workers: int = Field(2, ge=1, description="steps side by side")
    promote: bool = Field(False, description="promote the winner by itself when every gate holds")
    on_drift: bool = Field(True, description="run too when the live service reports drift")
    watch_s: float = Field(
        3600, ge=0, description="seconds to follow a promoted winner in the live service; 0: it is not asked"
    )
    webhook: str = Field("", pattern=URL, description="is POSTed how each run ended; empty: nobody is")
