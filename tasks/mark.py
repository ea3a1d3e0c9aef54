"""The step `mark`: writes what the keeper decided of each version to its page in MLflow, once; `follow` goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.live.keeper import Keeper
from tasks.track.marks import KINDS, Marker
from tasks.track.registry import Registry

if TYPE_CHECKING:
    from tasks.plan.schema import Settings


def run(settings: Settings) -> None:
    """Write what is new; KeeperError when the keeper is away, GateError when nothing was ever registered."""
    found = Marker(Registry.open(), Keeper()).mark()
    print(f"{sum(event.kind in KINDS for event in found)} new decisions")
