"""The shape of the plan, and all settings together; data_rules and service beside this have the other files."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field, SerializeAsAny

from tasks.core.contract import Params
from tasks.core.frozen import Frozen
from tasks.core.metrics import Ceiling, Higher, Metric
from tasks.core.points import EngineName, Point
from tasks.plan.data_rules import Expectations
from tasks.plan.service import Limits, Promotion, Rollout, Scaling, Schedule, Share
from tasks.plan.worth import WorthBlock

__all__ = [
    "ROOT",
    "BenchBlock",
    "ChooseBlock",
    "DataBlock",
    "Expectations",
    "Limits",
    "Metric",
    "ModelBlock",
    "PlainKeys",
    "Plan",
    "Promotion",
    "Rollout",
    "Scaling",
    "Schedule",
    "Settings",
    "Share",
    "Variant",
    "WorthBlock",
]

ROOT: Final = "data"
"""The parent of a row that starts from the untrained network, or from the data alone."""


class DataBlock(Frozen):
    """`data:` which raw data, and how `prepare` carves the splits that the source does not bring itself."""

    source: str = Field(description="a file of tasks/sources/")
    val_share: float = Field(0.1, gt=0, lt=0.9, description="of train, for choosing")
    test_share: float = Field(0.2, gt=0, lt=0.9, description="of train, where the source has no test split")
    calibration_rows: int = Field(256, gt=0, description="rows of train that set INT8 ranges")
    mean: tuple[float, ...] = Field((), description="a channel, of 0..255, say a checkpoint's; else train's")
    std: tuple[Annotated[float, Field(gt=0)], ...] = Field((), description="of each channel, beside `mean`")
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
    params: SerializeAsAny[Params]


class BenchBlock(Frozen):
    """`bench:` what the latency benchmark sweeps."""

    threads: tuple[Annotated[int, Field(ge=1, le=256)], ...] = Field((1,), min_length=1, description="thread counts")
    batch: tuple[Annotated[int, Field(ge=1, le=65536)], ...] = Field((1, 32), min_length=1, description="batch sizes")
    engines: tuple[EngineName, ...] = Field(
        ("onnxruntime",), min_length=1, description="what runs the models; `choose` goes by the first"
    )
    rounds: int = Field(30, ge=5, le=10_000, description="the fewest interleaved rounds")
    round_ms: float = Field(5.0, gt=0, le=10_000, description="how long each variant is called within one round")
    precision: float = Field(
        0.02, gt=0, lt=1, description="rounds are added until an interval is this share of its ratio to either side"
    )
    budget_s: float = Field(60.0, gt=0, description="... or this time is over, for each engine and thread count")

    @property
    def first(self) -> Point:
        """The point that `choose`, the gates and the page go by."""
        return Point(self.engines[0], self.threads[0], self.batch[0])


class ChooseBlock(Frozen):
    """`choose:` the budget and what to prefer within it, judged on `val`.

    Latencies are those at the first of bench.engines, of bench.threads and of bench.batch.
    """

    reference: str = Field(description="the row that drops, ratios and agreement are measured against")
    at_most: dict[Ceiling, float] = Field(
        default_factory=dict,
        description="upper bounds, all to be kept; by the upper end of a 95 % interval where there is one",
    )
    at_least: dict[Higher, float] = Field(default_factory=dict, description="lower bounds; it must keep them as well")
    prefer: Metric = Field("latency_p95_ms", description="the best wins: the greatest accuracy, the smallest latency")
    axes: tuple[Metric, ...] = Field(
        ("accuracy", "size_mb", "latency_p50_ms"), min_length=2, description="of the Pareto front"
    )
    allow_collapse: bool = Field(
        False, description="choose even what never answers a class that the reference finds, or answers all rows alike"
    )
    worth: WorthBlock = Field(WorthBlock(), description="prices, watts and carbon to reckon with")


class PlainKeys(Frozen):
    """The keys of params/plan.yaml that name no plug-in. All must be there: dvc.yaml reads them from the file."""

    seed: int = Field(ge=0, lt=2**32, description="every random choice follows from it")
    threads: int = Field(ge=1, le=256, description="processor threads a step; part of the plan since sums depend on it")
    bench: BenchBlock
    choose: ChooseBlock


class Plan(PlainKeys):
    """params/plan.yaml, checked. `variants` has parents before children."""

    data: DataBlock
    model: ModelBlock
    variants: dict[str, Variant]


class Settings(Frozen):
    """All files under params/, checked together."""

    plan: Plan
    expectations: Expectations
    rollout: Rollout
    promotion: Promotion
    schedule: Schedule
