"""Stages in other checkouts: what is the same whichever way an order is carried to a worker.

Prefect's own task runners for Dask and Ray are not used: their workers must reach Prefect's API, which here lives on
the driver's loopback, and they leave dvc.lock where the work was done. Here the tasks stay with the driver, and a
worker needs a checkout, the DVC remote and its scheduler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from flows.board import LOGS
from flows.checkout import revision
from flows.exchange import give_all, look, take
from flows.order import Done, Order


class Carrier(Protocol):
    """Takes an order to some worker and brings its answer back."""

    def carry(self, order: Order) -> Done:
        """The answer; WorkerLostError when the worker ended before it gave one."""

    def close(self) -> None:
        """Let go of whatever was opened."""


class Remote:
    """Workers with checkouts of their own, at this checkout's commit."""

    def __init__(self, open_carrier: Callable[[str], Carrier], address: str):
        self._revision = revision()
        self._carrier = open_carrier(address)
        give_all()  # what is current here is not ordered, and those who build on it need it

    def build(self, stage: str, force: bool) -> Done:
        """Have a worker bring one stage up to date, unless it is current here, and take what it gave."""
        current, lock = look(stage)
        if current and not force:
            return Done(stage=stage, how="reused")
        done = self._carrier.carry(Order(stage=stage, revision=self._revision, force=force, lock=lock))
        if done.log:
            LOGS.mkdir(parents=True, exist_ok=True)
            (LOGS / f"{stage}.log").write_text("\n".join(done.log) + "\n", encoding="utf-8")
        other = take(stage, done.entry) if done.entry else []
        if other:
            why = f"{done.worker} built it from other inputs than are here: {', '.join(other)}"
            return done.model_copy(update={"how": "failed", "why": why})
        return done

    def close(self) -> None:
        """Close the connection; workers go on with what they have in hand."""
        self._carrier.close()
