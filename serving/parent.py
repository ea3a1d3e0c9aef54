"""Ends this process soon after the one that started it, so that a killed supervisor leaves no server behind."""

from __future__ import annotations

import os
import threading
import time

import psutil

PARENT = "STILLROOM_PARENT"  # the process id to live with; not set = live alone


def live_with_parent() -> None:
    """Watch the process that STILLROOM_PARENT names, if any, and exit within a second of its end."""
    named = os.environ.get(PARENT, "")
    if named.isdecimal() and int(named) != os.getpid():
        threading.Thread(target=_watch, args=(int(named),), daemon=True, name="live-with-parent").start()


def _watch(pid: int) -> None:
    born_s = _born_s(pid)
    while born_s is not None and _born_s(pid) == born_s:  # another process may get the same id
        time.sleep(0.5)
    os._exit(75)  # EX_TEMPFAIL


def _born_s(pid: int) -> float | None:
    """When a process was created; None when it is gone."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None
