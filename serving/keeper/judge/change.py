"""A change of a mean over time, without any reference: ADWIN (Bifet and Gavaldà 2007), of the library River.

River is the extra `drift`; without it the judge says so and judges by everything else.
"""

from __future__ import annotations

from collections import deque
from typing import Any

BLOCK_ROWS = 10  # one value for ADWIN is the mean of a look, over so many rows at least
RECENT_BLOCKS = 30  # about what ADWIN needs for a large change
SHOWN_BLOCKS = 60  # how long a change is shown
MISSING = "needs the library river; pip install 'stillroom[drift]'"


def installed() -> bool:
    """Whether River is there."""
    try:
        _adwin(0.01)
    except ModuleNotFoundError:
        return False
    return True


class Change:
    """One mean within [0, 1], such as a share. A change by less than `least` is none; `up`: nor is one downwards."""

    def __init__(self, least: float, alpha: float, *, up: bool) -> None:
        self._least, self._up = least, up
        self._adwin = _adwin(alpha)
        self._total, self._rows = 0.0, 0
        self._recent: deque[float] = deque(maxlen=RECENT_BLOCKS)
        self._shown, self._width, self._sum = 0, 0, 0.0
        self.before, self.now = 0.0, 0.0

    @property
    def seen(self) -> bool:
        """Whether it changed lately."""
        return self._shown > 0

    def see(self, total: float, rows: int) -> bool:
        """Take sums from the beginning; True where they show a change, from `before` to `now`."""
        if rows < self._rows or total < self._total:
            self._total, self._rows = total, rows
        if rows - self._rows < BLOCK_ROWS:
            return False
        mean = min((total - self._total) / (rows - self._rows), 1.0)
        self._total, self._rows = total, rows
        self._adwin.update(mean)
        self._recent.append(mean)
        self._shown = max(self._shown - 1, 0)
        if not self._adwin.drift_detected:
            if not self._shown:
                self.before = self.now = float(self._adwin.estimation)
            self._width, self._sum = int(self._adwin.width), float(self._adwin.total)
            return False
        return self._told()

    def _told(self) -> bool:
        """Whether what ADWIN found is large enough: the latest blocks against what it held before them."""
        recent = list(self._recent)[-(self._width + 1) // 2 :]
        older = self._width + 1 - len(recent)
        now = sum(recent) / len(recent)
        before = max(self._sum + recent[-1] - sum(recent), 0.0) / older if older else now
        self._width, self._sum = 0, 0.0  # River begins anew after a change
        if abs(now - before) < self._least or (self._up and now < before):
            return False
        self.before, self.now, self._shown = before, now, SHOWN_BLOCKS
        return True


def _adwin(delta: float) -> Any:
    from river.drift import ADWIN

    return ADWIN(delta=delta, clock=1)
