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


class Preprocess(Frozen):
    """How a client's input becomes the network's. `mean` and `std` are for information: the network applies them."""

    kind: Literal["image", "array", "text"]
    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    length: int = 0
    vocab: int = 0
    inputs: dict[str, Input]


class Limits(Frozen):
    """What one request may ask."""

    rows: int = Field(ge=1)
    body_bytes: int = Field(ge=1)
    timeout_s: float = Field(gt=0)
    concurrency: int = Field(ge=1)


class Rollout(BaseModel):
    """The part of rollout.json that a running service obeys; the scaling in it is for the platform."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    treatment_share: float = Field(ge=0, le=1)
    salt: str
    threads: int = Field(ge=1)
    workers: int = Field(ge=1)
    limits: Limits
