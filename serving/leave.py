"""How a worker goes when it is told to (SIGTERM): it says that it is not ready, answers for a while, and then ends.

Whoever deals out the requests needs a moment to see it; those that come meanwhile are answered. Then uvicorn takes no
more, answers what is in flight, each request within its own time limit, and ends. A second SIGTERM ends the moment.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType


def linger(seconds: float, begin: Callable[[], None]) -> bool:
    """From now on SIGTERM calls `begin`, and `seconds` later what it did before; False where no server listens."""
    before = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        return False
    told = False

    def go(number: int, frame: FrameType | None) -> None:
        nonlocal told
        if told:
            before(number, frame)
            return
        told = True
        begin()
        timer = threading.Timer(seconds, before, (number, None))
        timer.daemon = True
        timer.start()

    signal.signal(signal.SIGTERM, go)
    return True
