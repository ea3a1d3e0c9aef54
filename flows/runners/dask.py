"""Orders carried by a Dask scheduler."""

from __future__ import annotations

from typing import Any

from flows.order import Done, MissingExtraError, NoWorkerError, Order, WorkerLostError
from flows.runners.ship import at_worker

ANSWER_WITHIN_S = 30


class Dask:
    """A connection to a scheduler; it starts an order anew on another worker where one was lost."""

    def __init__(self, client: Any):
        self._client = client

    def carry(self, order: Order) -> Done:
        """The answer of whichever worker is free first."""
        from distributed import KilledWorker

        future = self._client.submit(at_worker, order.model_dump_json(), pure=False, key=None)
        try:
            return Done.model_validate_json(future.result())
        except KilledWorker as e:
            raise WorkerLostError(f"{order.stage}: every worker that tried it was lost: {e}") from e

    def close(self) -> None:
        """Leave the scheduler."""
        self._client.close()


def opened(address: str) -> Dask:
    """Connect.

    Raises:
        MissingExtraError: Dask is not installed.
        NoWorkerError: no scheduler answers, or it has no worker.
    """
    try:
        from distributed import Client
    except ImportError as e:
        raise MissingExtraError("--runner dask: needs the extra `dask`: pip install -e '.[dask]'") from e
    try:
        client = Client(address, timeout=ANSWER_WITHIN_S, set_as_default=False)
    except (OSError, ValueError) as e:
        raise NoWorkerError(
            f"--address {address}: no Dask scheduler answers there ({e}); `dask scheduler` is one"
        ) from e
    try:
        client.wait_for_workers(1, timeout=ANSWER_WITHIN_S)
    except TimeoutError as e:
        client.close()
        raise NoWorkerError(
            f"--address {address}: the scheduler has no worker; in a checkout on each machine: "
            f"stillroom worker --runner dask --address {address}"
        ) from e
    return Dask(client)
