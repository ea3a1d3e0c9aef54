"""The troubles, each of which lasts a while and tells in a few words how it went."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

from benchmarks.trouble.system import WORKERS, Trouble, until


def killed(on: Trouble, seconds: float) -> str:
    """kill -9 of one worker."""
    before = on.pids()
    os.kill(min(before), signal.SIGKILL)
    took = until(lambda: len(on.pids() - {min(before)}) == WORKERS, "another worker comes")
    time.sleep(max(0.0, seconds - took))
    return f"another one answers after {took:.1f} s"


def removed(on: Trouble, seconds: float) -> str:
    """The database's file is moved away, and comes back."""
    held = [path.rename(path.with_name(f"held-{path.name}")) for path in on.disk.glob("rollout.db*")]
    time.sleep(seconds)
    for path in on.disk.glob("rollout.db*"):
        path.unlink()
    for path in held:
        path.rename(path.with_name(path.name.removeprefix("held-")))
    return f"both workers report again {until(on.settled, 'reports'):.1f} s after it is back"


def corrupt(on: Trouble, seconds: float) -> str:
    """A package with a changed byte: offered to the keeper, and written into the row behind its back."""
    before = on.store.read()
    assert before is not None, "there is a row"
    refused = on.offer("corrupt", 1.0, spoil="byte")
    row = before.next(by="sabotage", reason="", since_s=0.0, package=str(on.root / "corrupt"), package_sha256="")
    on.store.swap(row, before.generation)
    time.sleep(seconds)
    told = {p.error for p in on.store.presences() if p.error}
    mended = row.next(by="benchmark", reason="", since_s=0.0, package=before.package)
    on.store.swap(mended, row.generation)
    until(on.settled, "the mended row is served")
    return f"keeper: {refused.status_code}; workers: {'refused, the last good one served on' if told else 'no word'}"


def shadow(on: Trouble, seconds: float, spoil: str) -> str:
    """The full model's file breaks after it was loaded, so that the shadow's own loading of it raises or hangs."""
    on.offer(spoil, 0.0).raise_for_status()
    until(on.settled, "the package is served")
    time.sleep(3)  # the keeper has read it too
    model = on.root / spoil / "control.onnx"
    whole = model.read_bytes()
    model.unlink()
    if spoil == "hang":
        os.mkfifo(model)
    else:
        model.write_bytes(whole[:-1])
    on.shared(0.5)
    time.sleep(seconds)
    found = on.store.tallies(on.generation()).shadow
    if spoil == "hang":
        fd = os.open(model, os.O_RDWR | os.O_NONBLOCK)  # whoever waits for it is let go
        os.close(fd)
        model.unlink()
    model.write_bytes(whole)
    return f"rows compared {found.compared}, failed {found.failed}, dropped {found.dropped}"


def full(on: Trouble, seconds: float) -> str:
    """No byte is left on the database's disk: no counts, no audit log."""
    with closing(sqlite3.connect(on.disk / "rollout.db")) as own:
        own.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # or there is room left in the write-ahead log's own file
    with (on.disk / "filler").open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError:
            pass
    refused = on.admin.post("/hold", json={"expected": on.generation()})
    time.sleep(seconds)
    (on.disk / "filler").unlink()
    took = until(on.settled, "reports")
    return f"a change by hand meanwhile: {refused.status_code}; both workers report {took:.1f} s after there is room"


def harmful(on: Trouble, seconds: float) -> str:
    """A treatment that answers otherwise, past every gate, at half of the users."""
    on.offer("bad", 0.5, spoil="answers").raise_for_status()
    at = on.generation()
    until(lambda: on.load.seen(at, "treatment") > 0, "it answers somebody")
    first = time.monotonic()
    until(lambda: on.generation() > at and on.store.read().share == 0, "the keeper takes it back")  # type: ignore[union-attr]
    decided = time.monotonic()
    until(on.settled, "the workers follow")
    followed, rows = time.monotonic(), on.load.seen(at, "treatment")
    time.sleep(max(0.0, seconds - (followed - first)))
    back = f"taken back {decided - first:.1f} s after its first answer, {rows} answers"
    return f"{back}; the workers follow in {followed - decided:.1f} s"


def by_hand(on: Trouble, seconds: float) -> str:
    """POST /rollback."""
    on.offer("again", 0.5).raise_for_status()
    until(on.settled, "served")
    at = on.generation()
    began = time.monotonic()
    on.admin.post("/rollback", json={"expected": at}).raise_for_status()
    until(on.settled, "the workers follow")
    took = time.monotonic() - began
    time.sleep(seconds)
    return f"both workers follow {took:.2f} s after the request"


STEPS: dict[str, Callable[[Trouble, float], str]] = {
    "nothing": lambda on, seconds: time.sleep(seconds) or "",  # type: ignore[func-returns-value]
    "a worker killed (-9)": killed,
    "control database removed, restored": removed,
    "corrupt model offered": corrupt,
    "shadow raises": lambda on, seconds: shadow(on, seconds, "raise"),
    "shadow hangs": lambda on, seconds: shadow(on, seconds, "hang"),
    "disk full under counts and audit log": full,
    "harmful treatment, past the gates": harmful,
    "rolled back by hand": by_hand,
}
