"""`stillroom worker`: this checkout builds stages for a driver elsewhere, one at a time, until it is stopped.

The process becomes the scheduler's own worker; all that is ours is its environment, which says which checkout it has.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from flows.checkout import here, revision
from flows.environment import quiet
from flows.order import MissingExtraError
from flows.runners import ADDRESSES, RunnerError, check
from flows.runners.ship import CHECKOUT

LIBRARY = {"dask": "distributed", "ray": "ray", "pool": "prefect"}


def command(runner: str, address: str) -> list[str]:
    """What runs a worker of this kind that takes one stage at a time."""
    name = here().replace("/", "-")
    python = [sys.executable, "-m"]
    if runner == "dask":
        folder = str(Path(".stillroom/dask").absolute())
        own = [
            "--nthreads",
            "1",
            "--nworkers",
            "1",
            "--no-dashboard",
            "--memory-limit",
            "0",
            "--local-directory",
            folder,
        ]
        return [*python, "distributed.cli.dask_worker", address, "--name", name, *own]
    if runner == "ray":
        steps = (
            '{"stillroom": 1}'  # of this resource an order takes one, so that it comes to nodes with a checkout only
        )
        own = ["--resources", steps, "--block", "--disable-usage-stats"]
        return [*python, "ray.scripts.scripts", "start", "--address", address, *own]
    return [
        *python,
        "prefect",
        "worker",
        "start",
        "--pool",
        address,
        "--type",
        "process",
        "--limit",
        "1",
        "--name",
        name,
    ]


def environment(checkout: Path) -> dict[str, str]:
    """What such a worker finds in its environment: nothing phones home, and code comes from this checkout."""
    sooner = {"PREFECT_WORKER_QUERY_SECONDS": "2", **os.environ}  # than every ten seconds a look at the pool
    return {**sooner, **quiet(), CHECKOUT: str(checkout), "PYTHONPATH": str(checkout)}


def work(runner: str, address: str) -> None:
    """Become a worker; does not return.

    Raises:
        RunnerError: no such runner, or no address.
        MissingExtraError: its library is not installed.
        CheckoutError: this checkout holds what no commit has, so that it would refuse every order.
    """
    check(runner, address)
    if runner not in ADDRESSES:
        raise RunnerError(
            f"--runner {runner}: its stages run in the driver's checkout; workers: {', '.join(ADDRESSES)}"
        )
    if find_spec(LIBRARY[runner]) is None:
        raise MissingExtraError(f"--runner {runner}: needs the extra `{runner}`: pip install -e '.[{runner}]'")
    print(f"{here()} at commit {revision()[:12]}: working for {runner} at {address}", flush=True)
    Path(os.environ.get("PREFECT_HOME", ".stillroom/prefect")).mkdir(parents=True, exist_ok=True)
    os.execve(sys.executable, command(runner, address), environment(Path.cwd()))
