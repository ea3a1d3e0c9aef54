"""What a rehearsal (`stillroom run --preflight`) measures and a run does not: how long a pass of a training took.

Timings may not enter artifacts/, so they go to the file that STILLROOM_LAPS names, which a rehearsal alone sets.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tasks.core.artifact import ARTIFACTS
from tasks.core.frozen import Frozen

VARIABLE: Final = "STILLROOM_LAPS"
SIZES = ARTIFACTS / "full.json"


class Sizes(Frozen):
    """artifacts/full.json of a rehearsal: the rows of every split that a run would have and the rehearsal has."""

    rows: dict[str, int]
    rehearsed: dict[str, int]
    row_bytes: int


@contextmanager
def lap() -> Iterator[None]:
    """Note the seconds that what is inside took, one line a lap; nothing when no file is asked for."""
    began = time.perf_counter()
    yield
    if file := os.environ.get(VARIABLE):
        with Path(file).open("a", encoding="utf-8") as out:
            out.write(json.dumps(time.perf_counter() - began) + "\n")


def laps(file: Path) -> tuple[float, ...]:
    """The seconds of each lap that `file` holds; empty when there is none."""
    return tuple(json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()) if file.exists() else ()
