"""What a preflight tells: the estimate of every step and in all, held against the room that this machine has."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil
from pydantic import Field

from flows.estimate import Estimate
from flows.probes import memory_limit
from tasks.core.frozen import Frozen

COPIES = 2  # of what is built: beside the one in the checkout, DVC's cache keeps one
SPARE_MB = 500.0  # of memory, for the flow itself and its server


class Foretold(Frozen):
    """What a run will take, more or less."""

    steps: tuple[Estimate, ...]
    seconds: float = Field(description="on a machine that does nothing else, one step after another")
    memory_mb: float = Field(description="when the largest steps run side by side")
    disk_mb: float = Field(description="with the copies in DVC's cache")
    warnings: tuple[str, ...]


class Room(Frozen):
    """What this machine has left."""

    memory_mb: float
    disk_mb: float


def room() -> Room:
    """Of memory, what is available, in a container no more than it may have; of the disk, what is free here."""
    limit = memory_limit(Path("/sys/fs/cgroup"))
    free = psutil.virtual_memory().available
    return Room(memory_mb=min(free, limit or free) / 1e6, disk_mb=shutil.disk_usage(".").free / 1e6)


def foretold(found: list[Estimate], workers: int, room: Room) -> Foretold:
    """The steps together, and what there is to be warned of."""
    memory = sum(sorted((each.peak_mb for each in found), reverse=True)[:workers]) + (SPARE_MB if found else 0.0)
    disk = sum(each.disk_mb * (1 if each.step == "track" else COPIES) for each in found)
    warnings = []
    if memory > room.memory_mb:
        fewer = f"; --workers {workers - 1} needs less" if workers > 1 else ""
        warnings.append(f"memory: about {memory:,.0f} MB needed, {room.memory_mb:,.0f} MB available{fewer}")
    if disk > room.disk_mb:
        warnings.append(f"disk: about {disk:,.0f} MB needed, {room.disk_mb:,.0f} MB free")
    return Foretold(
        steps=tuple(found),
        seconds=sum(each.seconds for each in found),
        memory_mb=memory,
        disk_mb=disk,
        warnings=tuple(warnings),
    )


def text(told: Foretold) -> str:
    """For people: a table, the whole, and the warnings."""
    if not told.steps:
        return "preflight: everything is current, a run would compute nothing"
    wide = max(len(each.step) for each in told.steps)
    lines = [f"{'step'.ljust(wide)}  {'time':>9}  {'memory, MB':>10}  {'disk, MB':>9}"]
    lines += [f"{e.step.ljust(wide)}  {clock(e.seconds):>9}  {e.peak_mb:10,.0f}  {e.disk_mb:9,.1f}" for e in told.steps]
    lines.append(
        f"in all about {clock(told.seconds)} on a machine that does nothing else (side by side: less),"
        f" {told.memory_mb:,.0f} MB of memory, {told.disk_mb:,.0f} MB of disk with the copies in DVC's cache"
    )
    return "\n".join([*lines, *(f"warning: {each}" for each in told.warnings)])


def clock(seconds: float) -> str:
    """As in 42 s, 3 min, 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
