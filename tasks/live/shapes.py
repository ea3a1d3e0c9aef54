"""What the keeper tells: its row, the workers that follow it, and what happened. Keys that we do not know are left."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field


class Told(BaseModel):
    """Base of what a keeper tells."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Row(Told):
    """The control row: who is served what."""

    generation: int
    package: str
    package_sha256: str
    version: str
    share: float
    stage: int
    mode: str
    since_s: float
    by: str
    reason: str


class Worker(Told):
    """One worker: what it serves, and the fault that keeps it from serving what the row says."""

    worker: str
    generation: int
    package_sha256: str
    error: str
    age_s: float
    rss_mb: float = 0
    cpu_s: float = 0


class Event(Told):
    """One line of the audit log."""

    id: int
    at_s: float
    actor: str
    kind: str
    generation: int
    reason: str
    numbers: Mapping[str, float | str] = Field(default_factory=dict)

    @property
    def version(self) -> str:
        """Of the registry, where the event says it; else empty."""
        return str(self.numbers.get("version", ""))
