"""What the live service makes of a new champion, asked of the keeper over HTTP (serving/keeper)."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from tasks.core.errors import StillroomError

KEEPER = "STILLROOM_KEEPER"
DEFAULT = "http://127.0.0.1:3001"
ANSWER_WITHIN_S = 10
LOOK_EVERY_S = 2.0


class KeeperAwayError(StillroomError):
    """No keeper answers, so nothing is known of what is served."""


class NotServedError(StillroomError):
    """The service did not take the new version in time."""


class RolledBackError(StillroomError):
    """The service took the new version back; the message has the keeper's reason."""


def address() -> str:
    """Where the keeper is asked."""
    return os.environ.get(KEEPER, "").rstrip("/") or DEFAULT


def row() -> dict[str, Any] | None:
    """The control row now; None while there is none. KeeperAwayError when nobody answers."""
    url = f"{address()}/state"
    try:
        with urlopen(url, timeout=ANSWER_WITHIN_S) as answer:
            found: dict[str, Any] | None = json.load(answer)["state"]
            return found
    except (URLError, OSError, ValueError, KeyError) as e:
        raise KeeperAwayError(f"{KEEPER}: no keeper answers at {url} ({getattr(e, 'reason', e)})") from e


def until_served(version: str, within_s: float, look: Callable[[], dict[str, Any] | None] = row) -> str:
    """Wait until the row is about `version`, and say at which share.

    Raises:
        KeeperAwayError: nobody answered, the whole time.
        NotServedError: it is about another version still.
    """
    end = time.monotonic() + within_s
    found: dict[str, Any] | None = None
    away: KeeperAwayError | None = None
    while True:
        try:
            found, away = look(), None
        except KeeperAwayError as e:
            away = e
        if found and away is None and found["version"] == version:
            return f"version {version} is served, to {found['share']:.0%} of the users at first"
        if time.monotonic() >= end:
            break
        time.sleep(LOOK_EVERY_S)
    if away is not None:
        raise away
    serves = f"version {found['version']}" if found else "nothing"
    raise NotServedError(f"version {version} was not served within {within_s:g} s; the service serves {serves}")


def watch(version: str, for_s: float, look: Callable[[], dict[str, Any] | None] = row) -> str:
    """Follow `version` on its way up, until it has arrived, was taken back, or `for_s` is over; say which.

    Raises:
        RolledBackError: the keeper took it back.
    """
    end = time.monotonic() + for_s
    last: dict[str, Any] | None = None
    while time.monotonic() < end:
        try:
            last = look()
        except KeeperAwayError:
            last = None  # the rollout goes on without being watched
        if last is not None:
            if last["version"] != version:
                return f"version {version} was replaced by version {last['version']}: {last['reason']}"
            if last["mode"] == "rolled_back":
                raise RolledBackError(f"version {version} was rolled back on live evidence: {last['reason']}")
            if last["mode"] == "settled":
                return f"version {version} has arrived: {last['share']:.0%} of the users"
        time.sleep(LOOK_EVERY_S)
    where = f"at {last['share']:.0%} ({last['mode']})" if last else "unknown: the keeper does not answer"
    return f"version {version} is still on its way, {where}; the keeper goes on without us"
