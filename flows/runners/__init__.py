"""Where stages are computed: in this checkout, or by workers with checkouts of their own."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol

from flows.order import Done
from tasks.core.errors import StillroomError, nearest

NAMES = ("local", "dask", "ray", "pool")
ADDRESSES = {
    "dask": "the scheduler's, such as tcp://10.0.0.5:8786",
    "ray": "the cluster's, such as 10.0.0.5:6379 or ray://10.0.0.5:10001",
    "pool": "the name of a Prefect work pool",
}


class RunnerError(StillroomError):
    """There is no such runner, or its address is missing or one too many."""


class Runner(Protocol):
    """Brings stages up to date, several at a time; dvc.lock and the results are here afterwards."""

    def build(self, stage: str, force: bool) -> Done:
        """Bring one stage up to date. A failure is an answer; WorkerLostError when there is no answer."""

    def close(self) -> None:
        """Let go of whatever was opened."""


def check(name: str, address: str) -> None:
    """RunnerError unless `name` is a runner and has an address where it needs one."""
    if name not in NAMES:
        raise RunnerError(f"--runner: {name!r}; allowed: {', '.join(NAMES)}{nearest(name, NAMES)}")
    if name in ADDRESSES and not address:
        raise RunnerError(f"--runner {name}: needs --address: {ADDRESSES[name]}")
    if name == "local" and address:
        raise RunnerError(f"--address {address}: the local runner has none; say --runner dask, ray or pool")


def opened(name: str, address: str) -> Runner:
    """A runner, ready to build; StillroomError when its library, its workers or the DVC remote are missing."""
    check(name, address)
    if name == "local":
        from flows.runners.local import Local

        return Local()
    from flows.runners.remote import Remote

    return Remote(import_module(f"flows.runners.{name}").opened, address)
