"""What was seen before, where no store remembers it: the last so many keys of this process alone."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

MOST = 100_000


class Once:
    """True once for each key, as long as it is among the last `most`; from any thread."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()

    def __call__(self, key: str) -> bool:
        """Whether this is the first time."""
        with self._lock:
            if key in self._seen:
                return False
            self._seen[key] = None
            if len(self._seen) > self._most:
                self._seen.popitem(last=False)
            return True
