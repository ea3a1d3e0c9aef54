"""A measurement stays on as many processors as it has threads, and gives them back."""

from __future__ import annotations

import os
import threading

import pytest

from tasks.evidence.pin import pinned

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system keeps no thread anywhere")


def test_a_thread_and_those_it_starts_are_kept_and_let_go() -> None:
    before, seen = os.sched_getaffinity(0), []
    with pinned(1) as kept:
        thread = threading.Thread(target=lambda: seen.append(os.sched_getaffinity(0)))
        thread.start()
        thread.join()
        assert len(kept) == 1 and os.sched_getaffinity(0) == seen[0] == set(kept)
    assert os.sched_getaffinity(0) == before


def test_it_is_let_go_when_the_measurement_fails() -> None:
    before = os.sched_getaffinity(0)
    with pytest.raises(ZeroDivisionError), pinned(1):
        raise ZeroDivisionError
    assert os.sched_getaffinity(0) == before


def test_more_threads_than_processors_take_all() -> None:
    with pinned(10_000) as kept:
        assert set(kept) == os.sched_getaffinity(0)
