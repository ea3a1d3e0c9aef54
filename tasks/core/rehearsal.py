"""What a rehearsal (`stillroom run --preflight`) measures and a run does not: how long the passes of a training took.

Timings may not enter artifacts/, so they go to the file that STILLROOM_LAPS names, which a rehearsal alone sets.
Where a processor worked for less than the time that went by, that counts: other work on the machine is not the step's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from tasks.core.artifact import ARTIFACTS
from tasks.core.frozen import Frozen

VARIABLE: Final = "STILLROOM_LAPS"
SIZES = ARTIFACTS / "full.json"
Kind = Literal["train", "val", "answers", "calibration", "predicted", "emulated"]
PREPARED = Path(".prepared")  # in a rehearsal's folder: the run's own artifacts/data, where that is current


class Sizes(Frozen):
    """artifacts/full.json of a rehearsal: the rows of every split that a run would have and the rehearsal has."""

    rows: dict[str, int]
    rehearsed: dict[str, int]
    row_bytes: int


class Lap(Frozen):
    """A pass over rows: of training, of `val` after it, of `val` answered by themselves, or of calibration.

    `predicted`: a split that an evaluation answers, at `most` so many rows at once, for which the process `grown_mb`.
    `emulated`: rows computed as on other processors; at `most` so many are, however many there are.
    """

    kind: Kind
    rows: int
    seconds: float
    most: int | None = None
    grown_mb: float = 0.0


class Order(Frozen):
    """A step to be run by tasks.rehearse: what stands behind `python -m tasks`, and where its log and laps go."""

    step: tuple[str, ...]
    log: str
    laps: str


class Ready(Frozen):
    """tasks.rehearse has imported everything, in so many seconds."""

    seconds: float


class Taken(Frozen):
    """How a step ended, and what it took: the time that went by, and how much of it a processor worked."""

    status: int
    wall_s: float
    worked_s: float
    peak_mb: float


def rehearsing() -> bool:
    """Whether this process is a step of a rehearsal."""
    return VARIABLE in os.environ


@contextmanager
def lap(kind: Kind, rows: int, most: int | None = None) -> Iterator[None]:
    """Note what the pass inside took, one line a lap; nothing when no file is asked for."""
    file = os.environ.get(VARIABLE)
    if not file:
        yield
        return
    held, began, worked = held_mb(), time.perf_counter(), time.process_time()
    yield
    took = min(time.perf_counter() - began, time.process_time() - worked)
    grown = max(0.0, held_mb() - held)
    with Path(file).open("a", encoding="utf-8") as out:
        out.write(Lap(kind=kind, rows=rows, seconds=took, most=most, grown_mb=grown).model_dump_json() + "\n")


def held_mb() -> float:
    """The memory that this process holds now."""
    import psutil

    return float(psutil.Process().memory_info().rss) / 1e6


def laps(file: Path) -> tuple[Lap, ...]:
    """Each lap that `file` holds; empty when there is none."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else ()
    return tuple(Lap.model_validate_json(line) for line in lines)
