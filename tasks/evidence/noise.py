"""Whether the machine was quiet while something was measured: other processes, other guests, an unsteady clock."""

from __future__ import annotations

from time import perf_counter, perf_counter_ns

import numpy as np
import psutil

from tasks.core.findings import Noise
from tasks.evidence.machine import usable_cores

OTHERS_SHARE = 0.10  # of all processors' time; more is a disturbance
STEAL_SHARE = 0.01
CLOCK_SPREAD = 0.10
FIXED_WORK = 10_000  # turns of an empty loop: some tenths of a millisecond, in the processor alone


class Watch:
    """Looks on from its making until `read`; `tick` now and then, the more often the better."""

    def __init__(self) -> None:
        self._start = perf_counter()
        self._machine, self._own = psutil.cpu_times(), psutil.Process().cpu_times()
        self._clock_ns: list[int] = []
        self._mhz: list[float] = []

    def tick(self) -> None:
        """Time a fixed piece of work, the best of three, and ask for the clock's frequency."""
        self._clock_ns.append(min(_fixed_work_ns() for _ in range(3)))
        if frequency := _frequency_mhz():
            self._mhz.append(frequency)

    def read(self, also_own_s: float = 0.0) -> Noise:
        """What was seen so far; `also_own_s`: CPU seconds of other processes that belong to the measurement."""
        now, own = psutil.cpu_times(), psutil.Process().cpu_times()
        whole = (perf_counter() - self._start) * usable_cores()
        busy = _busy(now) - _busy(self._machine)
        mine = own.user + own.system - self._own.user - self._own.system + also_own_s
        steal = now.steal - self._machine.steal if hasattr(now, "steal") else None
        return judged(
            others_share=max(0.0, busy - mine) / whole,
            steal_share=None if steal is None else steal / whole,
            clock_spread=spread(self._clock_ns),
            frequency_mhz=(min(self._mhz), max(self._mhz)) if self._mhz else None,
        )


def judged(
    others_share: float, steal_share: float | None, clock_spread: float, frequency_mhz: tuple[float, float] | None
) -> Noise:
    """The figures, and in words those that are too high."""
    told = []
    if others_share > OTHERS_SHARE:
        told.append(f"other processes took {others_share:.0%} of the processors' time")
    if steal_share is not None and steal_share > STEAL_SHARE:
        told.append(f"the hypervisor gave {steal_share:.1%} of the processors' time to other guests (steal)")
    if clock_spread > CLOCK_SPREAD:
        told.append(f"the same work took {clock_spread:.0%} longer in slow rounds than in fast (clock, throttling)")
    return Noise(
        others_share=round(others_share, 4),
        steal_share=None if steal_share is None else round(steal_share, 4),
        clock_spread=round(clock_spread, 4),
        frequency_mhz=frequency_mhz,
        disturbances=tuple(told),
    )


def spread(times: list[int]) -> float:
    """The 95th over the 5th percentile, less 1; 0 for none."""
    if not times:
        return 0.0
    fast, slow = np.percentile(times, (5, 95))
    return float(slow / fast - 1)


def _fixed_work_ns() -> int:
    start = perf_counter_ns()
    for _ in range(FIXED_WORK):
        pass
    return perf_counter_ns() - start


def _busy(times: object) -> float:
    """Seconds that all processors worked; `guest` is within `user`."""
    return sum(getattr(times, kind, 0.0) for kind in ("user", "nice", "system", "irq", "softirq"))


def _frequency_mhz() -> float | None:
    try:
        found = psutil.cpu_freq()
    except (NotImplementedError, OSError):
        return None
    return found.current if found and found.current else None
