"""The step `fetch`: the champion's package, downloaded and checked. The last line printed is its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.core.errors import GateError
from tasks.track import packages
from tasks.track.registry import Registry

if TYPE_CHECKING:
    from tasks.plan.schema import Settings


def run(settings: Settings) -> None:
    """Fetch the champion; GateError when nothing is promoted, ArtifactError when a download does not fit its hashes."""
    registry = Registry.open()
    champion = registry.find("champion")
    if champion is None:
        raise GateError("nothing is promoted; run `stillroom promote`, or `stillroom serve --candidate`")
    target, downloaded = packages.fetch(registry, champion)
    print(f"fetched {champion}" if downloaded else f"{champion} is already here")
    print(target)
