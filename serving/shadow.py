"""Shadow comparison: a sample of the treatment's requests is answered once more by the full model, and compared.

Off the way of a request: `offer` only puts rows into a bounded queue, and drops them when it is full. One thread with a
session of its own takes them out, in batches, at a low priority. Whatever goes wrong there is counted and stays there.
"""

from __future__ import annotations

import logging
import os
import random
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from serving import metrics
from serving.agreement import Agreement, compare
from serving.engine import Array, Model, load, probabilities
from serving.inputs import Inputs
from serving.live import Live
from serving.package import Package
from serving.shapes import Shadow as Settings

LOG = logging.getLogger("stillroom.shadow")
NICE = 10  # of the thread, on Linux; elsewhere it has the priority of the process
BATCH_ROWS = 32  # at most, unless one request has more


@dataclass(frozen=True)
class Replay:
    """A request that the treatment has answered: its rows, and the probabilities (N, C) that it gave."""

    live: Live
    inputs: Inputs
    shares: Array


class Shadow:
    """The queue and the thread that empties it. `settings.queue` bounds the rows that wait."""

    def __init__(self, settings: Settings) -> None:
        self._share, self._rows_max = settings.share, settings.queue
        self._waiting: deque[Replay] = deque()
        self._rows = 0
        self._changed = threading.Condition()
        self._closed = False
        self._loaded: tuple[Package, Model] | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to compare. Not before the process has forked: threads do not survive that."""
        if self._share > 0 and self._thread is None:
            self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Compare no more; does not wait for a comparison that hangs."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=1)

    def offer(self, live: Live, inputs: Inputs, shares: Array) -> None:
        """Perhaps compare the treatment's answer to N rows, later. Never waits, never raises."""
        if self._thread is None or random.random() >= self._share:
            return
        with self._changed:
            room = not self._waiting or self._rows + len(shares) <= self._rows_max
            if room:
                self._waiting.append(Replay(live, inputs, shares))
                self._rows += len(shares)
                metrics.SHADOW_QUEUE.set(self._rows)
                self._changed.notify()
        if not room:
            live.counts.shadowed(dropped=len(shares))
            metrics.SHADOW.labels("dropped").inc(len(shares))

    def _take(self) -> list[Replay]:
        """The next requests of one generation, together as one batch; empty when the shadow is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return []
            taken = [self._waiting.popleft()]
            rows = len(taken[0].shares)
            while self._waiting and self._waiting[0].live is taken[0].live:
                rows += len(self._waiting[0].shares)
                if rows > BATCH_ROWS:
                    break
                taken.append(self._waiting.popleft())
            self._rows -= sum(len(replay.shares) for replay in taken)
            metrics.SHADOW_QUEUE.set(self._rows)
            return taken

    def _work(self) -> None:
        _be_nice()
        while batch := self._take():
            live, rows = batch[0].live, sum(len(replay.shares) for replay in batch)
            try:
                found = self._compare(live, batch)
            except Exception as e:  # nothing that goes wrong here may reach a request
                live.counts.shadowed(failed=rows)
                metrics.SHADOW.labels("failed").inc(rows)
                LOG.warning("shadow comparison of %d rows failed: %s: %s", rows, type(e).__name__, e)
            else:
                _count(live, found)

    def _compare(self, live: Live, batch: Sequence[Replay]) -> Agreement:
        if self._loaded is None or self._loaded[0] is not live.package:
            self._loaded = None  # the old session's memory is free before the new one takes its own
            self._loaded = live.package, load(live.package, "control")
        names = batch[0].inputs
        together = {name: np.concatenate([replay.inputs[name] for replay in batch]) for name in names}
        given = np.concatenate([replay.shares for replay in batch])
        return compare(probabilities(self._loaded[1].logits(together)), given, live.package.labels)


def _count(live: Live, found: Agreement) -> None:
    live.counts.shadowed(compared=found.rows, agreed=found.agreed, kl_sum=found.kl_sum, flips=found.flips)
    metrics.SHADOW.labels("agreed").inc(found.agreed)
    metrics.SHADOW.labels("disagreed").inc(found.rows - found.agreed)
    metrics.SHADOW_KL.inc(found.kl_sum)
    for label, n in found.flips.items():
        metrics.FLIPS.labels(label).inc(n)


def _be_nice() -> None:
    """A lower priority for this thread alone: Linux schedules threads, each with a priority of its own."""
    if os.uname().sysname == "Linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
