"""What a server and every process that it started have taken: CPU seconds and memory."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

import psutil


class Memory(NamedTuple):
    """In MB (10^6 bytes). `rss` counts shared pages once a process, `pss` divides them; None where it is not told."""

    rss_mb: float
    pss_mb: float | None


def tree(pid: int) -> list[psutil.Process]:
    """The process and its living descendants; empty when it has ended."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_s(processes: list[psutil.Process]) -> float:
    """CPU seconds, user and system, of those that still live."""
    total = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def memory(processes: list[psutil.Process]) -> Memory:
    """What they hold now. PSS is Linux's, and only told to the owner of a process."""
    rss, pss = 0, 0
    known = True
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            try:
                full = process.memory_full_info()
                rss, pss = rss + full.rss, pss + getattr(full, "pss", 0)
                known &= hasattr(full, "pss")
            except psutil.AccessDenied:
                rss += process.memory_info().rss
                known = False
    return Memory(rss / 1e6, pss / 1e6 if known else None)
