"""What the live service makes of a new champion, as its keeper tells it."""

from __future__ import annotations

import time
from collections.abc import Callable

from flows.keeper import reached
from tasks.core.errors import KeeperError, StillroomError
from tasks.live.keeper import Keeper
from tasks.live.shapes import Row

LOOK_EVERY_S = 2.0


class NotServedError(StillroomError):
    """The service did not take the new version in time."""


class RolledBackError(StillroomError):
    """The service took the new version back; the message has the keeper's reason."""


def until_served(version: str, within_s: float, keeper: Callable[[], Keeper] = reached) -> str:
    """Wait until the row is about `version`, and say at which share.

    Raises:
        KeeperError: nobody answers, up to the end.
        NotServedError: the row is about another version still.
    """
    end = time.monotonic() + within_s
    while True:
        over = time.monotonic() >= end
        try:
            row = keeper().row()
        except KeeperError:
            if over:
                raise
            row = None
        if row is not None and row.version == version:
            return f"version {version} is served, to {row.share:.0%} of the users at first"
        if over:
            serves = f"version {row.version}" if row is not None else "nothing"
            raise NotServedError(f"version {version} was not served within {within_s:g} s; the service serves {serves}")
        time.sleep(LOOK_EVERY_S)


def watch(version: str, for_s: float, keeper: Callable[[], Keeper] = reached) -> str:
    """Follow `version` on its way up, until it has arrived, was taken back, or `for_s` is over; say which.

    Raises:
        RolledBackError: it was taken back, by the judge or by a person.
    """
    end = time.monotonic() + for_s
    last: Row | None = None
    while time.monotonic() < end:
        try:
            last = keeper().row()
        except KeeperError:
            last = None  # the rollout goes on without being watched
        if last is not None:
            if last.version != version:
                return _left(version, last, keeper())
            if last.mode == "rolled_back":
                raise RolledBackError(_taken_back(version, last.by, last.reason))
            if last.mode == "settled":
                return f"version {version} has arrived: {last.share:.0%} of the users"
        time.sleep(LOOK_EVERY_S)
    where = f"at {last.share:.0%} ({last.mode})" if last else "unknown: the keeper does not answer"
    return f"version {version} is still on its way, {where}; the keeper goes on without us"


def _left(version: str, row: Row, keeper: Keeper) -> str:
    """What another version in the row means: after a rollback the one before is offered at once, between two looks."""
    for event in reversed(keeper.events()):
        if event.version == version:
            if event.kind == "rollback":
                raise RolledBackError(_taken_back(version, event.actor, event.reason))
            break
    return f"version {version} was replaced by version {row.version}: {row.reason}"


def _taken_back(version: str, by: str, reason: str) -> str:
    return f"version {version} was rolled back by {by}: {reason}"
