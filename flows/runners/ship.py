"""The little that a scheduler carries to a worker: have the worker's own checkout fill an order."""

from __future__ import annotations

import os
import subprocess
import sys

from flows.order import Done, Order

CHECKOUT = "STILLROOM_CHECKOUT"  # `stillroom worker` sets it


def at_worker(order: str) -> str:
    """Fill an order (JSON) with the code of this worker's checkout, whatever else is on this process's path."""
    asked = Order.model_validate_json(order)
    checkout = os.environ.get(CHECKOUT, "")
    if not checkout:
        why = "this worker belongs to no checkout: start workers with `stillroom worker`"
        return Done(stage=asked.stage, how="refused", why=why).model_dump_json()
    done = subprocess.run(
        [sys.executable, "-m", "flows.reproduce"],
        cwd=checkout,
        input=order,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": checkout},
    )
    if done.returncode:
        why = f"{checkout}: exited with {done.returncode}: {done.stderr.strip()[-2000:]}"
        return Done(stage=asked.stage, how="failed", why=why).model_dump_json()
    return done.stdout.strip().splitlines()[-1]
