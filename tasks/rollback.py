"""The step `rollback`: the champion before this one becomes the champion again, and this one is marked as withdrawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.core.errors import GateError
from tasks.track.registry import Registry
from tasks.track.withdraw import withdraw

if TYPE_CHECKING:
    from tasks.plan.schema import Settings


def run(settings: Settings) -> None:
    """Point `champion` at `previous_champion`, and drop that alias; GateError when there is nothing to go back to."""
    registry = Registry.open()
    champion, before = registry.find("champion"), registry.find("previous_champion")
    if champion is None:
        raise GateError("nothing is promoted, so there is nothing to roll back; `stillroom promote` makes a champion")
    if before is None or before.number == champion.number:
        raise GateError(f"{champion} has no previous champion to go back to; it stays")
    withdraw(registry, champion, before)
    print(f"champion: {before}; withdrawn: {champion}")
