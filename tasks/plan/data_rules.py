"""The shape of params/expectations.yaml: the rules of the data."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.core.frozen import Frozen
from tasks.plan.service import Share


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
    overlap_rows_max: int = Field(0, ge=0, description="rows of val or test that also stand in another split")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.class_share_min > self.class_share_max:
            raise ValueError(f"class_share_max of at least class_share_min, {self.class_share_min}")
        if self.value_min is not None and self.value_max is not None and self.value_min > self.value_max:
            raise ValueError(f"value_max of at least value_min, {self.value_min}")
        return self
