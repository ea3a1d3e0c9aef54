"""What the control plane holds: the row that every worker follows, who follows it, and what happened to it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from serving.shapes import Frozen

Mode = Literal["rolling", "settled", "rolled_back", "held"]
Kind = Literal["boot", "package", "share", "advance", "rollback", "hold", "resume", "alarm", "refused", "admin", "wake"]
NO_STAGE = -1


class State(Frozen):
    """The one row. `generation` goes up by one with every change, and all counts start anew with it."""

    generation: int = Field(ge=1)
    package: str = Field(min_length=1, description="a folder that every worker can read")
    package_sha256: str = Field(
        "", description="of its manifest.json; a folder with another one is refused; empty = any"
    )
    version: str = Field(min_length=1, description="of the registry, or `candidate`")
    share: float = Field(ge=0, le=1, description="of users, who get the treatment")
    stage: int = Field(NO_STAGE, ge=NO_STAGE, description="index into rollout.stages; -1 = none")
    mode: Mode = "settled"
    since_s: float = Field(0, ge=0, description="Unix time of the change, by the store's clock")
    by: str = Field(min_length=1)
    reason: str = ""

    def next(self, *, by: str, reason: str, since_s: float, **changes: Any) -> State:
        """The row after this one: `changes` laid over it, checked, one generation on."""
        return State(
            **{
                **self.model_dump(),
                "generation": self.generation + 1,
                "by": by,
                "reason": reason,
                "since_s": since_s,
                **changes,
            }
        )


class Presence(Frozen):
    """One worker: what it serves, and the fault that keeps it from serving what the row says ("" = none)."""

    worker: str = Field(min_length=1)
    generation: int = Field(ge=0, description="0 = no row was ever followed")
    package_sha256: str = Field(description="of the served package's manifest.json")
    error: str = ""
    seen_s: float = Field(0, description="Unix time, set by the store: a worker's clock is not trusted")
    rss_mb: float = 0
    cpu_s: float = 0


class Event(Frozen):
    """One line of the audit log. `id` and `at_s` are set by the store."""

    id: int = 0
    at_s: float = 0
    actor: str = Field(min_length=1)
    kind: Kind
    generation: int = Field(0, ge=0)
    numbers: dict[str, float | str] = Field(default_factory=dict)
    reason: str = ""
