"""The parameters that say how much is pruned, and what first. Cheap to import: no torch."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.core.contract import Params

MEASURES = ("ratio", "macs_ratio", "latency_ratio")
ELSE = ("heads", "ffn", "layers")
Share = Annotated[float, Field(ge=0, lt=1)]


class PruneParams(Params):
    """How much to remove, by what measure (at most one of three), and what to remove first."""

    ratio: float | None = Field(
        None, gt=0, lt=1, description="share to remove: of every layer's channels, or of a transformer's heads and ffn"
    )
    macs_ratio: float | None = Field(
        None, gt=0, lt=1, description="share of the parent's multiply-accumulates (Conv2d, Linear) to keep, at most"
    )
    latency_ratio: float | None = Field(
        None, gt=0, lt=1, description="share of the parent's measured latency to keep; not repeatable bit for bit"
    )
    latency_batch: int = Field(1, ge=1, le=4096, description="rows a call when latency is measured")
    importance: Literal["l1", "l2", "taylor", "bn_scale", "random"] = Field(
        "l2", description="what is removed first: small norms, a small effect on the loss, small batch-norm scales"
    )
    scope: Literal["local", "global"] = Field(
        "local", description="the same share of every layer, or one ranking of all channels (heads, neurons)"
    )
    heads: Share | None = Field(None, description="share of the attention heads to remove; null: as the others")
    ffn: Share | None = Field(None, description="share of the feed-forward neurons to remove; null: as the others")
    layers: dict[str, Share] = Field(
        {}, description="own shares for layers, by name or pattern, as in {body.4.*: 0.25}; 0 leaves it; first fit wins"
    )
    round_to: int = Field(
        8, ge=1, le=1024, description="keep a multiple of so many channels, the nearest: fast kernels like 8; not heads"
    )
    rounds: int = Field(1, ge=1, le=100, description="times to prune and recover, an equal share of the rest each")

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        given = [name for name in MEASURES if getattr(self, name) is not None]
        others = [name for name in ELSE if getattr(self, name) not in (None, {})]
        if len(given) > 1 or not given + others:
            found = ", ".join(given) or "none"
            raise ValueError(f"exactly one of {', '.join(MEASURES)}, or none with {', '.join(ELSE)}; found {found}")
        return self
