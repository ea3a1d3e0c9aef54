"""The parameters of a training run, for every technique that trains. Cheap to import: no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, Field

from tasks.core.contract import Params


class FitParams(Params):
    """How `tasks.core.fit.fit` trains."""

    epochs: int = Field(gt=0, le=100_000, description="passes over the train split")
    lr: float = Field(gt=0, le=10, description="the highest step size; it falls to zero along a cosine")
    batch: int = Field(64, gt=0, le=65536, description="rows a step")
    optimizer: Literal["sgd", "adamw"] = Field("sgd", description="sgd for convolutions, adamw for transformers")
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd (Nesterov), and adamw's first beta")
    weight_decay: float = Field(5e-4, ge=0, le=1, description="of weights; biases and norms are spared")
    warmup: float = Field(0.05, ge=0, lt=1, description="share of all steps in which the step size climbs")
    patience: int | None = Field(
        None, ge=1, description="stop after so many epochs without a better `val` accuracy, keep the best; null: never"
    )
    augment: tuple[Literal["flip", "crop"], ...] = Field((), description="random changes to pictures, in this order")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="probability spread over all classes")
    gradients: Literal["none", "fp16", "bf16", "int8", "sign", "topk", "powersgd"] = Field(
        "none", description="what processes started by torchrun send each other is made smaller by this; none: float32"
    )
    gradients_rank: int = Field(2, ge=1, le=256, description="of the matrices that powersgd sends")
    gradients_share: float = Field(0.01, gt=0, le=1, description="of each tensor's values that topk sends")


class RecoverParams(FitParams):
    """How a technique that hurt a network wins accuracy back: by imitating the parent."""

    temperature: float = Field(4.0, gt=0, le=100, description="softens both sides; 1 = plain softmax")
    alpha: float = Field(0.9, ge=0, le=1, description="weight of imitation; 1 - alpha is left for the labels")

    @property
    def warning(self) -> str | None:
        """What is allowed but seldom meant; None when there is nothing to say. A technique's own default is meant."""
        if 1 < self.temperature <= 10 or self.temperature == type(self).model_fields["temperature"].default:
            return None
        effect = "nothing is softened" if self.temperature <= 1 else "all classes look alike"
        return f"temperature {self.temperature:g}: {effect}; above 1 and up to 10 is usual"


def blocks(params: BaseModel, at: str = "") -> Iterator[tuple[str, BaseModel]]:
    """A block of parameters and the blocks in it, each with the keys that lead to it: "" and `recover: `."""
    yield at, params
    for name in type(params).model_fields:
        if isinstance(inner := getattr(params, name), BaseModel):
            yield from blocks(inner, f"{at}{name}: ")


def warnings_of(params: BaseModel) -> tuple[str, ...]:
    """The warnings of a block of parameters and of the blocks in it, those with the key that they stand at."""
    return tuple(f"{at}{b.warning}" for at, b in blocks(params) if isinstance(b, RecoverParams) and b.warning)


def imitates(params: BaseModel) -> str | None:
    """`alpha`, or `recover: alpha`, where it gives weight to the parent's predictions; None: there is no teacher."""
    return next((f"{at}alpha" for at, b in blocks(params) if isinstance(b, RecoverParams) and b.alpha > 0), None)


def trains(params: BaseModel) -> bool:
    """Whether a technique with these parameters makes a trained network of an untrained one."""
    return any(isinstance(b, FitParams) for _, b in blocks(params))
