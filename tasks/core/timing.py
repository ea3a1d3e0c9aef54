"""Timing calls one by one, and the ratio of two that were timed in the same rounds.

*Use when* a latency is to be compared with another; who is called when is tasks.core.race's. Slow drift of the machine
(load, clock) cancels in the ratio of two medians of the same round.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter_ns
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Call = Callable[[], object]
Center = Callable[[Array], Any]
CALLS_MIN = 3  # a visit, so that its median is not one call


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Keep the collector from stopping a timed call."""
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def visit(call: Call, for_ms: float) -> Array:
    """Call again and again for `for_ms`, at least `CALLS_MIN` times; the milliseconds of each call."""
    times: list[int] = []
    end = perf_counter_ns() + int(for_ms * 1e6)
    while len(times) < CALLS_MIN or perf_counter_ns() < end:
        start = perf_counter_ns()
        call()
        times.append(perf_counter_ns() - start)
    return np.array(times) / 1e6


def round_ratios(mine: list[Array], reference: list[Array], center: Center = np.median) -> Array:
    """(rounds,) the `center` of each round over the reference's of the same round."""
    return np.array([center(own) / center(theirs) for own, theirs in zip(mine, reference, strict=True)])
