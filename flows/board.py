"""What a run is doing right now: one state a stage, safe to write from many threads and to read from another."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

State = Literal["waiting", "running", "computed", "restored", "reused", "failed", "skipped"]
LOGS = Path(".stillroom/logs")


@dataclass(frozen=True)
class Entry:
    """One stage: its state, how long it took (so far, when it runs), and which other checkout did it, if one did."""

    state: State = "waiting"
    began: float = 0.0  # seconds since the epoch
    seconds: float = 0.0
    worker: str = ""
    worked_s: float | None = None  # how long processors worked for it; None where it was not computed, or not counted


class Board:
    """The states of all stages of one run."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may come in the middle of it
        self._entries: dict[str, Entry] = {}
        self.began = time.time()

    def reset(self, names: list[str]) -> None:
        """Start a new run of these stages."""
        with self._lock:
            self._entries = {name: Entry() for name in names}
        self.began = time.time()

    def start(self, name: str) -> float:
        """Stage `name` runs from now on; that moment."""
        now = time.time()
        with self._lock:
            self._entries[name] = Entry("running", now)
        return now

    def end(self, name: str, state: State, worker: str = "", worked_s: float | None = None) -> None:
        """Stage `name` is done; `state` says how, `worker` by whom, `worked_s` for how long processors worked."""
        with self._lock:
            began = self._entries.get(name, Entry()).began
            self._entries[name] = Entry(state, began, time.time() - began if began else 0.0, worker, worked_s)

    def entries(self) -> dict[str, Entry]:
        """A copy of all states; a running stage's seconds count up to now."""
        now = time.time()
        with self._lock:
            return {
                name: Entry("running", e.began, now - e.began) if e.state == "running" else e
                for name, e in self._entries.items()
            }


def last_line(name: str, logs: Path = LOGS) -> str:
    """The last line that a stage printed, empty when it printed none. A progress bar's redraws count as lines."""
    lines = tail(name, 1, logs)
    return lines[0] if lines else ""


def tail(name: str, count: int, logs: Path = LOGS) -> list[str]:
    """The last `count` lines of a stage's log, the empty ones left out."""
    log = logs / f"{name}.log"
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 8192))
        text = file.read().decode("utf-8", "replace").replace("\r", "\n")
    return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]


def ran_since(stage: str, began: float, logs: Path = LOGS) -> bool:
    """Whether a stage's step has started since `began` (seconds since the epoch): it opens its log anew."""
    log = logs / f"{stage}.log"
    return log.exists() and log.stat().st_mtime >= began


BOARD = Board()
"""The run of this process. One, because Prefect gives tasks no place to keep an object that is not a result."""
