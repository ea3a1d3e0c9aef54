"""The JSON files of a package, strict and frozen."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Frozen(BaseModel):
    """Immutable; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Manifest(Frozen):
    """manifest.json: the variant that plays each role, and the SHA-256 of every other file."""

    control: str
    treatment: str
    files: dict[str, str]


class Input(Frozen):
    """One input of the network: the shape of a row, and the element type."""

    shape: tuple[int, ...]
    dtype: str


class Sound(Frozen):
    """What is made of a sound: `samples` at `rate` a second; the network does the rest, which is for information."""

    rate: int = Field(ge=1000, le=192_000)
    samples: int = Field(ge=1)
    mels: int
    window: int
    hop: int


class Preprocess(Frozen):
    """How a client's input becomes the network's. `mean` and `std` are for information: the network applies them."""

    kind: Literal["image", "array", "text", "audio"]
    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    length: int = 0
    vocab: int = 0
    sound: Sound | None = None
    inputs: dict[str, Input]


class Limits(Frozen):
    """What one request may ask."""

    rows: int = Field(ge=1)
    body_bytes: int = Field(ge=1)
    timeout_s: float = Field(gt=0)
    concurrency: int = Field(ge=1)
    drain_s: float = Field(1.0, ge=0)


class Judge(Frozen):
    """When the keeper takes the treatment back, and what it needs to see before it gives it to more users."""

    p95_ms: float = Field(100, gt=0)
    disagreement: float = Field(0.02, gt=0, lt=1)
    fast_disagreement: float = Field(0.15, gt=0, lt=1)
    error_rate: float = Field(0.01, gt=0, lt=1)
    accuracy_drop: float = Field(0.02, ge=0, lt=1)
    alpha: float = Field(0.01, gt=0, lt=1)
    min_rows: int = Field(500, ge=1)
    hold_s: float = Field(60, ge=0)


class DriftLimits(Frozen):
    """From where on a change of inputs or answers is called drift."""

    psi: float = Field(0.2, gt=0)
    ks: float = Field(0.1, gt=0, lt=1)
    min_rows: int = Field(500, ge=1)


class Notify(Frozen):
    """Who is told of decisions and of drift; "" is nobody."""

    webhook: str = ""
    prefect_api: str = ""


class Shadow(Frozen):
    """How much of the treatment's traffic is compared with the full model's answers."""

    share: float = Field(0.0, ge=0, le=1)
    queue: int = Field(256, ge=1)


class Cache(Frozen):
    """Of how many rows, a worker, the answers are kept."""

    entries: int = Field(0, ge=0)


class Control(Frozen):
    """Where the control plane is (empty = none), and how often a worker looks."""

    url: str = "sqlite:///.stillroom/control/rollout.db"
    poll_s: float = Field(0.2, gt=0)


class Rollout(BaseModel):
    """The part of rollout.json that a running service obeys; the scaling in it is for the platform."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    treatment_share: float = Field(ge=0, le=1)
    salt: str
    threads: int = Field(ge=1)
    workers: int = Field(ge=1)
    limits: Limits
    stages: tuple[float, ...] = (0.01, 0.1, 0.5, 0.9)
    judge: Judge = Judge()
    drift: DriftLimits = DriftLimits()
    notify: Notify = Notify()
    shadow: Shadow = Shadow()
    cache: Cache = Cache()
    control: Control = Control()
