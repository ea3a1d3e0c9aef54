"""The step `follow`: offers MLflow's champion to the keeper whenever the alias moves, and marks what became of it.

It polls: the alias every ten seconds, the keeper's events every second. A webhook (POST /wake on the keeper's port) is
one of those events and makes it look at once; nothing rests on it. It ends with a signal only.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from tasks.core.errors import KeeperError, StillroomError
from tasks.live.keeper import Keeper, LateError
from tasks.track import packages, withdraw
from tasks.track.marks import Marker
from tasks.track.registry import Registry

if TYPE_CHECKING:
    from tasks.plan.schema import Settings

TOKEN = "STILLROOM_FOLLOWER_TOKEN"
EVERY_S, AWAY_MAX_S = 1.0, 30.0
LOOK_S = 10.0
UNFIT = 422  # the package cannot be served, now or later
WAKE = "wake"  # the event of a webhook


class Follower:
    """Follows one registry for one keeper."""

    def __init__(self, registry: Registry, keeper: Keeper) -> None:
        self._registry, self._keeper = registry, keeper
        self._marker = Marker(registry, keeper)
        self._look_at_s = 0.0

    def tick(self) -> None:
        """Mark what is new; look at the alias when it is time, when somebody asks, and after a rollback."""
        kinds = {event.kind for event in self._marker.mark()}
        if kinds & {WAKE, "rollback"} or time.monotonic() >= self._look_at_s:
            self._look_at_s = time.monotonic() + LOOK_S
            self.look(again=WAKE in kinds)

    def look(self, *, again: bool = False) -> None:
        """Offer the champion if it is another one than before.

        A package that a person offered stays until the alias moves. `again`: also a champion that the keeper refused.

        Raises:
            ArtifactError: The download does not fit its hashes; nothing was offered, and the next look tries again.
            KeeperError: The keeper is away, or refuses the package.
        """
        champion = self._registry.find("champion")
        if champion is None or (champion.number == self._marker.seen.champion and not again):
            return
        if withdraw.TAG in champion.tags:
            self._dealt(champion.number, f"{champion} was rolled back, so it is not offered")
            return
        row = self._keeper.row()
        if row is not None and row.package_sha256 == champion.tag("package_sha256"):
            self._dealt(champion.number, "")
            return
        folder, _ = packages.fetch(self._registry, champion)
        reason = f"the champion is {champion}"
        asked = {"package": str(folder.resolve()), "version": champion.number, "by": "follower", "reason": reason}
        try:
            row = self._keeper.change("package", row.generation if row is not None else 0, **asked)
        except LateError:
            self._look_at_s = 0.0  # the row moved meanwhile: look again
            return
        except KeeperError as e:
            if e.status == UNFIT:
                self._dealt(champion.number, "")
            raise
        self._dealt(champion.number, f"offered {champion}: generation {row.generation}, share {row.share:g}")

    def _dealt(self, number: str, told: str) -> None:
        self._marker.remember(champion=number)
        if told:
            print(f"follower: {told}", flush=True)


def run(settings: Settings) -> None:
    """Follow for ever. What goes wrong is told once and tried again. GateError when nothing was ever registered."""
    follower = Follower(Registry.open(), Keeper(token=os.environ.get(TOKEN, "")))
    wait_s, told = EVERY_S, ""
    while True:
        try:
            follower.tick()
            wait_s, told = EVERY_S, ""
        except Exception as e:  # MLflow's server away raises one of many
            said = str(e) if isinstance(e, StillroomError) else f"{type(e).__name__}: {str(e)[:300]}"
            if said != told:
                print(f"follower: {said}; trying again", flush=True)
            wait_s, told = min(wait_s * 2, AWAY_MAX_S), said
        time.sleep(wait_s)
