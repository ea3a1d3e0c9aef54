"""Energy as the processor itself counts it (Intel's RAPL, which AMD has too), through Linux's powercap.

The counters are of whole packages: whatever else runs on the machine is in them. They are in microjoules, wrap
around at `max_energy_range_uj`, and are often readable by root alone, and absent in virtual machines; then None.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import NamedTuple, Self

POWERCAP = Path("/sys/class/powercap")
PACKAGES = "*-rapl:[0-9]"  # not the parts within a package, which have two numbers


class Reading(NamedTuple):
    """A package's counter and where it starts anew, in microjoules."""

    energy_uj: int
    range_uj: int


def read(folder: Path = POWERCAP) -> dict[str, Reading] | None:
    """The counters of all packages; None where there are none or they may not be read."""
    try:
        found = {
            zone.name: Reading(*(int((zone / name).read_text()) for name in ("energy_uj", "max_energy_range_uj")))
            for zone in sorted(folder.glob(PACKAGES))
        }
    except (OSError, ValueError):
        return None
    return found or None


def joules(before: dict[str, Reading], after: dict[str, Reading]) -> float:
    """What all packages took between two readings less than one turn of a counter apart."""
    taken = 0
    for name, then in before.items():
        now = after[name].energy_uj
        taken += now - then.energy_uj + (then.range_uj if now < then.energy_uj else 0)
    return taken / 1e6


def joules_per_row(call: Callable[[], object], batch: int, seconds: float, folder: Path = POWERCAP) -> float | None:
    """The energy of one row of `call`, which answers `batch` rows, over some seconds; None without counters."""
    before = read(folder)
    if before is None:
        return None
    calls, end = 0, perf_counter() + seconds
    while perf_counter() < end or not calls:
        call()
        calls += 1
    after = read(folder)
    return None if after is None else joules(before, after) / (calls * batch)


class Meter:
    """Adds up what all packages take within a `with`, looking often enough that no counter turns twice unseen."""

    def __init__(self, folder: Path = POWERCAP, every_s: float = 20.0) -> None:
        self._folder, self._every_s = folder, every_s
        self._last = read(folder)
        self._joules = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="rapl")

    @property
    def joules(self) -> float | None:
        """So far; None where the counters are not there or may not be read."""
        return None if self._last is None else self._joules

    def __enter__(self) -> Self:
        if self._last is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        self.look()

    def _watch(self) -> None:
        while not self._over.wait(self._every_s):
            self.look()

    def look(self) -> None:
        """Add what was taken since the last look."""
        now = read(self._folder) if self._last is not None else None
        if self._last is not None and now is not None:
            self._joules += joules(self._last, now)
        self._last = now
