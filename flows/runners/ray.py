"""Orders carried by a Ray cluster."""

from __future__ import annotations

from typing import Any

from flows.order import Done, MissingExtraError, NoWorkerError, Order, WorkerLostError
from flows.runners.ship import at_worker

RETRIES = 2  # of an order whose worker was lost, by Ray itself


class Ray:
    """A connection to a cluster; it starts an order anew on another node where one was lost."""

    def __init__(self, ray: Any):
        self._ray = ray
        self._ask = ray.remote(at_worker).options(
            num_cpus=0, resources={"stillroom": 1}, max_retries=RETRIES, retry_exceptions=False
        )

    def carry(self, order: Order) -> Done:
        """The answer of whichever node is free first."""
        try:
            return Done.model_validate_json(self._ray.get(self._ask.remote(order.model_dump_json())))
        except (self._ray.exceptions.WorkerCrashedError, self._ray.exceptions.NodeDiedError) as e:
            raise WorkerLostError(f"{order.stage}: every worker that tried it was lost: {e}") from e

    def close(self) -> None:
        """Leave the cluster."""
        self._ray.shutdown()


def opened(address: str) -> Ray:
    """Connect.

    Raises:
        MissingExtraError: Ray is not installed.
        NoWorkerError: no cluster answers, or no node of it has a checkout.
    """
    try:
        import ray
    except ImportError as e:
        raise MissingExtraError("--runner ray: needs the extra `ray`: pip install -e '.[ray]'") from e
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError) as e:
        raise NoWorkerError(
            f"--address {address}: no Ray cluster answers there ({e}); `ray start --head` is one"
        ) from e
    if not ray.cluster_resources().get("stillroom"):
        ray.shutdown()
        raise NoWorkerError(
            f"--address {address}: no node of the cluster has a checkout; in one on each machine: "
            f"stillroom worker --runner ray --address {address}"
        )
    return Ray(ray)
