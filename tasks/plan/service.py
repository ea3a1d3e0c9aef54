"""The shape of rollout.yaml, promotion.yaml and schedule.yaml: who gets the winner, what it must show, when to run."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.core.frozen import Frozen
from tasks.plan.clock import Cron, TimeZone

Share = Annotated[float, Field(ge=0, le=1)]
Ceiling = Literal[
    "accuracy_drop",
    "accuracy_drop_high",
    "worst_class_drop",
    "worst_class_drop_high",
    "worst_group_drop_high",
    "demographic_parity_difference",
    "equalized_odds_difference",
    "flips",
    "classes_never_predicted",
    "size_mb",
    "latency_ratio_high",
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


class Rollout(Frozen):
    """params/rollout.yaml: who gets which model, within what limits, on how many replicas."""

    treatment_share: Share = Field(0.1, description="of users, who get the compressed model")
    salt: str = Field("stillroom", min_length=1, description="change it to deal the users anew")
    threads: int = Field(1, ge=1, description="ONNX Runtime threads a model")
    workers: int = Field(1, ge=1, description="service processes")
    limits: Limits = Limits()
    scaling: Scaling = Scaling()


class Promotion(Frozen):
    """params/promotion.yaml: the gates, on `test`. A gate left out is not checked."""

    at_most: dict[Ceiling, float] = Field(
        default_factory=dict, description="names that end in `_high` are upper ends of 95 % intervals"
    )
    at_least: dict[Literal["accuracy", "agreement", "macro_f1"], Share] = Field(default_factory=dict)


class Schedule(Frozen):
    """params/schedule.yaml: when to run again."""

    cron: Cron = Field(description="five fields, as for crontab")
    timezone: TimeZone = Field("UTC", description="an IANA name")
    workers: int = Field(2, ge=1, description="steps side by side")
    promote: bool = Field(False, description="promote the winner by itself when every gate holds")
