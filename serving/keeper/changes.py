"""What an administrator may ask for, and the row that follows from it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from serving.control.state import NO_STAGE, Mode, State
from serving.package import Package
from serving.shapes import Frozen

Name = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[ -~]+$")]


class Unfit(Exception):
    """The change does not fit the row as it stands, which is `row`; the message says why."""

    def __init__(self, message: str, row: State | None) -> None:
        super().__init__(message)
        self.row = row


class Change(Frozen):
    """What every change has: the generation that its author saw, who that is, and why."""

    expected: int = Field(ge=0, description="generation of the row that is to be replaced; 0 = there is none yet")
    by: Name = "admin"
    reason: str = Field("", max_length=500)


class Share(Change):
    """POST /share: a share by hand. It stays until somebody changes it; the keeper still takes back what does harm."""

    share: float = Field(ge=0, le=1)


class Advance(Change):
    """The keeper's own: to a stage of the rollout and its share; to the present one: there is no further one."""

    stage: int = Field(ge=0)
    share: float = Field(ge=0, le=1)


class Offer(Change):
    """POST /package: another package, at the first stage, or at `share`."""

    package: str = Field(min_length=1, max_length=1000)
    version: Name
    share: float | None = Field(None, ge=0, le=1)


def shared(row: State, asked: Share, now_s: float) -> State:
    """The row with a share by hand."""
    return _after(row, asked, now_s, share=asked.share, stage=NO_STAGE, mode="settled")


def rolled_back(row: State, asked: Change, now_s: float) -> State:
    """The row in which the control answers everybody."""
    return _after(row, asked, now_s, share=0.0, stage=NO_STAGE, mode="rolled_back")


def held(row: State, asked: Change, now_s: float) -> State:
    """The row that goes no further by itself."""
    if row.mode == "held":
        raise Unfit(f"generation {row.generation} is held already", row)
    return _after(row, asked, now_s, mode="held")


def resumed(row: State, asked: Change, now_s: float) -> State:
    """The row that goes on where it was held."""
    if row.mode != "held":
        raise Unfit(f"generation {row.generation} is {row.mode}, not held; POST /share or /package begins anew", row)
    return _after(row, asked, now_s, mode="settled" if row.stage == NO_STAGE else "rolling")


def advanced(row: State, asked: Advance, now_s: float) -> State:
    """The row at the next stage, or settled where it stands."""
    mode: Mode = "settled" if asked.stage == row.stage else "rolling"
    return _after(row, asked, now_s, share=asked.share, stage=asked.stage, mode=mode)


def offered(asked: Offer, package: Package, now_s: float) -> State:
    """The row with another package: at the first stage of its rollout, or at its share where there are no stages."""
    rollout = package.rollout
    share, stage = asked.share, NO_STAGE
    if share is None:
        share, stage = (rollout.stages[0], 0) if rollout.stages else (rollout.treatment_share, NO_STAGE)
    return State(
        generation=asked.expected + 1,
        package=str(package.folder),
        package_sha256=package.manifest_sha256,
        version=asked.version,
        share=share,
        stage=stage,
        mode="settled" if stage == NO_STAGE else "rolling",
        since_s=now_s,
        by=asked.by,
        reason=asked.reason,
    )


def _after(row: State, asked: Change, now_s: float, **changes: object) -> State:
    return row.next(by=asked.by, reason=asked.reason, since_s=now_s, **changes)
