"""What became of a version on live traffic, in the registry: a tag for each decision, and the alias after a rollback.

rollout                     the newest of them, in words: `advance: share 0.5, by keeper`
rollout.g0007.advance       each with its generation: when, by whom, why, and the numbers it rests on, as JSON
rolled_back                 when it was taken back; `champion` moves to `previous_champion`, unless that was, too

Which events were written is remembered on disk. Without that memory, or when the log is another one than the remembered
one, it begins with the events of the row as it stands: what is long over moves no alias.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field

from tasks.core import artifact
from tasks.core.errors import ArtifactError
from tasks.core.frozen import Frozen
from tasks.live.keeper import Keeper
from tasks.live.shapes import Event
from tasks.track import withdraw
from tasks.track.registry import Registry

MEMORY = Path(".stillroom") / "control" / "followed.json"
KINDS = ("boot", "package", "share", "advance", "rollback", "hold", "resume", "alarm")
VALUE_MAX = 4000  # MLflow takes more, but its page shows each tag whole


class Seen(Frozen):
    """The newest event that was written, the version its row was about, and the champion that was dealt with."""

    event: int = 0
    at_s: float = 0
    version: str = ""
    champion: str = ""
    since: int = Field(0, description="a generation; what happened before it is not written")


class Marker:
    """Writes the events of one keeper to one registry, each at least once."""

    def __init__(self, registry: Registry, keeper: Keeper) -> None:
        self._registry, self._keeper = registry, keeper
        try:
            self.seen = artifact.read_json(MEMORY, Seen)
        except ArtifactError:
            self.seen = Seen()

    def mark(self) -> tuple[Event, ...]:
        """Write what is new; those events, of all kinds, oldest first. KeeperError when the keeper is away."""
        found = self._new()
        for event in found:
            version = event.version or self.seen.version
            if event.kind in KINDS and event.generation >= self.seen.since:
                self._write(event, version)
            self.remember(event=event.id, at_s=event.at_s, version=version)
        return found

    def remember(self, **changes: int | float | str) -> None:
        """Lay `changes` over what was seen, also on disk."""
        self.seen = self.seen.model_copy(update=changes)
        scratch = MEMORY.with_suffix(".new")
        artifact.write_json(scratch, self.seen)
        scratch.replace(MEMORY)

    def _new(self) -> tuple[Event, ...]:
        """The events after the one that was seen last."""
        if self.seen.event:
            found = self._keeper.events(self.seen.event - 1)
            if found and (found[0].id, found[0].at_s) == (self.seen.event, self.seen.at_s):
                return found[1:]
        row = self._keeper.row()
        if row is None:
            return ()
        self.seen = Seen(version=row.version, since=row.generation)
        return self._keeper.events()

    def _write(self, event: Event, number: str) -> None:
        """One event on its version's page; nothing for a package that was never registered."""
        version = self._registry.numbered(number)
        if version is None:
            return
        self._registry.write_tags(version, tags(event))
        if event.kind != "rollback":
            return
        withdraw.tag(self._registry, version)
        champion, before = self._registry.find("champion"), self._registry.find("previous_champion")
        if champion is None or champion.number != number:
            return
        if before is None or before.number == number or withdraw.TAG in before.tags:
            print(f"{version} was rolled back, and there is none to go back to; it stays the champion", flush=True)
            return
        withdraw.withdraw(self._registry, champion, before)
        print(f"{version} was rolled back; champion: {before}", flush=True)


def tags(event: Event) -> dict[str, str]:
    """An event as tags of its version."""
    at = datetime.fromtimestamp(event.at_s, UTC).isoformat(timespec="seconds")
    told = {"at": at, "by": event.actor, "reason": event.reason, **event.numbers}
    share = f" share {event.numbers['share']:g}," if isinstance(event.numbers.get("share"), float) else ""
    return {
        f"rollout.g{event.generation:04d}.{event.kind}": json.dumps(told, sort_keys=True)[:VALUE_MAX],
        "rollout": f"{event.kind}:{share} by {event.actor}",
    }
