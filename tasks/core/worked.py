"""How long processors worked for a step: seconds, in a file of their own beside the step's log.

The step counts them itself, with the processes that it has waited for: who orders it from DVC sees the time that went
by alone, and that is longer on a busy machine, and shorter than what several threads worked.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def file_of(log: Path) -> Path:
    """Where the step with that log notes them."""
    return log.with_suffix(".worked")


def note(file: Path) -> None:
    """Write down what this process and its children, as far as they have ended, have worked until now."""
    times = os.times()
    worked_s = times.user + times.system + times.children_user + times.children_system
    file.write_text(f"{worked_s:.3f}\n", encoding="utf-8")


def read(file: Path) -> float | None:
    """What was noted there; None where nothing was, as by a step that was killed."""
    with suppress(OSError, ValueError):
        return float(file.read_text(encoding="utf-8"))
    return None
