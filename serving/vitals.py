"""Processor time and memory of the workers: prometheus_client has no figures of processes where there are several."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import psutil
from prometheus_client.multiprocess import mark_process_dead

from serving import metrics


class Vitals(NamedTuple):
    """Of this process: user and system time in seconds, and resident memory in bytes."""

    cpu_s: float
    resident_bytes: int


def measure() -> Vitals:
    """Read them, and tell Prometheus."""
    process = psutil.Process()
    with process.oneshot():
        times = process.cpu_times()
        found = Vitals(times.user + times.system, process.memory_info().rss)
    metrics.CPU.set(found.cpu_s)
    metrics.MEMORY.set(found.resident_bytes)
    return found


def bury() -> tuple[int, ...]:
    """Drop what workers that are gone last said of themselves: a killed one cannot. The processes that were dropped."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not folder:
        return ()
    known = {int(path.stem.rpartition("_")[2]) for path in Path(folder).glob("gauge_live*_*.db")}
    gone = tuple(sorted(pid for pid in known if not psutil.pid_exists(pid)))
    for pid in gone:
        mark_process_dead(pid)  # type: ignore[no-untyped-call]
    return gone
