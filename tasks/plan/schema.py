"""The shape of every file under params/: strict, frozen, with the meaning and range of each key."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from tasks.core.contract import Frozen, Params

Share = Annotated[float, Field(ge=0, le=1)]
Metric = Literal[
    "accuracy_drop",
    "worst_class_drop",
    "size_mb",
    "parameters",
    "macs",
    "latency_p50_ms",
    "latency_p95_ms",
    "latency_ratio",
]


class DataBlock(Frozen):
    """`data:` which raw data, and how `prepare` carves the splits that the source does not bring itself."""

    source: str = Field(description="a file of tasks/sources/")
    val_share: float = Field(0.1, gt=0, lt=0.9, description="of train, for choosing")
    test_share: float = Field(0.2, gt=0, lt=0.9, description="of train, where the source has no test split")
    calibration_rows: int = Field(256, gt=0, description="rows of train that set INT8 ranges")
    params: dict[str, Any] = Field(
        default_factory=dict, description="the source's own keys, checked against its load()"
    )


class ModelBlock(Frozen):
    """`model:` the architecture of the untrained network."""

    arch: str = Field(description="a file of tasks/models/")
    params: dict[str, Any] = Field(
        default_factory=dict, description="the architecture's own keys, checked against its build()"
    )


class Variant(Frozen):
    """One row of `variants:`; `params` is the technique's own, already checked."""

    name: str
    parent: str = Field(description="another row, or `data` for the untrained network")
    technique: str = Field(description="a file of tasks/techniques/")
    params: Params


class BenchBlock(Frozen):
    """`bench:` what the latency benchmark sweeps."""

    threads: tuple[Annotated[int, Field(ge=1, le=256)], ...] = Field((1,), min_length=1, description="thread counts")
    batch: tuple[Annotated[int, Field(ge=1, le=65536)], ...] = Field((1, 32), min_length=1, description="batch sizes")
    rounds: int = Field(30, ge=5, le=10_000, description="interleaved rounds; more make the interval narrower")
    round_ms: float = Field(5.0, gt=0, le=10_000, description="how long each variant is called within one round")


class ChooseBlock(Frozen):
    """`choose:` the budget and what to prefer within it, judged on `val`. The first of bench.threads and bench.batch count."""

    reference: str = Field(description="the row that drops, ratios and agreement are measured against")
    at_most: dict[Metric, float] = Field(default_factory=dict, description="upper bounds; a variant must keep them all")
    prefer: Metric = Field("latency_p95_ms", description="the smallest wins")


class Plan(Frozen):
    """params/plan.yaml, checked. `variants` has parents before children."""

    seed: int = Field(0, ge=0, lt=2**32, description="every random choice follows from it")
    threads: int = Field(
        1, ge=1, le=256, description="processor threads a step; part of the plan since sums depend on it"
    )
    data: DataBlock
    model: ModelBlock
    variants: dict[str, Variant]
    bench: BenchBlock = BenchBlock()
    choose: ChooseBlock


class Expectations(Frozen):
    """params/expectations.yaml: the rules that data must keep before anything is written."""

    min_rows: dict[Literal["train", "calibration", "val", "test"], Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict, description="the fewest rows a split may have"
    )
    shape: tuple[int, ...] | None = Field(None, description="of one row of every input; null: not checked")
    value_min: float | None = Field(None, description="no value may be below; null: not checked")
    value_max: float | None = Field(None, description="no value may be above; null: not checked")
    class_share_min: Share = Field(0.0, description="every class has at least this share of every split")
    class_share_max: Share = Field(1.0, description="no class has more than this share of any split")
    nan_rows_max: int = Field(0, ge=0, description="rows with a NaN or an infinity")
    duplicate_share_max: Share = Field(1.0, description="share of a split's rows that equal an earlier row of it")
    overlap_rows_max: int = Field(0, ge=0, description="rows of val or test that also stand in train")


class Scaling(Frozen):
    """How many replicas the service may have, and when it gets more."""

    min_replicas: int = Field(1, ge=0)
    max_replicas: int = Field(4, ge=1)
    target_concurrency: int = Field(8, ge=1, description="requests in flight a replica aims at")
    target_cpu_percent: int = Field(70, ge=1, le=100)
    cpu: str = Field("1", pattern=r"^[0-9]+m?$", description="Kubernetes CPU request, as 500m or 2")
    memory: str = Field("1Gi", pattern=r"^[0-9]+(Mi|Gi)$", description="Kubernetes memory request")
    scale_down_after_s: int = Field(300, ge=0)


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

    at_most: dict[Literal["accuracy_drop", "worst_class_drop", "size_mb", "latency_ratio_high"], float] = Field(
        default_factory=dict, description="`latency_ratio_high` is the upper end of the ratio's 95 % interval"
    )
    at_least: dict[Literal["accuracy", "agreement", "macro_f1"], Share] = Field(default_factory=dict)


class Schedule(Frozen):
    """params/schedule.yaml: when to run again."""

    cron: str = Field(description="five fields, as for crontab")
    timezone: str = Field("UTC", description="an IANA name")
    workers: int = Field(2, ge=1, description="steps side by side")
    promote: bool = Field(False, description="promote the winner by itself when every gate holds")


class Settings(Frozen):
    """All files under params/, checked together."""

    plan: Plan
    expectations: Expectations
    rollout: Rollout
    promotion: Promotion
    schedule: Schedule
