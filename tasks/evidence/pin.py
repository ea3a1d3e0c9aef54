"""Keeping a measurement on the same processors, so that it does not wander between them while it is timed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def pinned(threads: int) -> Iterator[tuple[int, ...]]:
    """Keep this thread, and the threads that it starts meanwhile, on `threads` of the processors it may run on.

    Those with the highest numbers, since interrupts mostly go to the first; gives which. All that are allowed where
    there are no more than that, and none, nothing being kept anywhere, where the system has no such call.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield ()
        return
    allowed = os.sched_getaffinity(0)
    chosen = tuple(sorted(allowed)[-threads:])
    os.sched_setaffinity(0, chosen)
    try:
        yield chosen
    finally:
        os.sched_setaffinity(0, allowed)
