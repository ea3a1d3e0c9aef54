"""Taking a version back: by hand (`stillroom rollback`), or because its rollout was rolled back on live evidence."""

from __future__ import annotations

from datetime import UTC, datetime

from tasks.track.registry import Registry, Version

TAG = "rolled_back"  # such a version is neither promoted nor offered again


def tag(registry: Registry, version: Version) -> None:
    """Mark a version as taken back."""
    registry.write_tags(version, {TAG: datetime.now(UTC).isoformat(timespec="seconds")})


def withdraw(registry: Registry, champion: Version, before: Version) -> None:
    """`before` is the champion again, and `champion` is marked, first: a follower must not offer it once more."""
    tag(registry, champion)
    registry.point("champion", before)
    registry.drop("previous_champion")
