"""One stage, here: for a driver in this checkout, or by order of one elsewhere (`python -m flows.reproduce`).

An order comes in as JSON on stdin and its answer goes out as the last line of stdout. The steps end with this process,
and this process ends with the worker that started it, so that a worker that is killed leaves nothing behind.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from flows.board import LOGS, ran_since, tail
from flows.checkout import LOCK, CheckoutError, demand, here
from flows.exchange import fetch_needs, opened
from flows.order import Done, How, Order
from tasks.core import worked

SENT = 200  # lines of a log that travel


def bring_up(repo: Any, stage: str, force: bool, **how: bool) -> How:
    """Have DVC bring one stage up to date here; DvcException when it cannot."""
    began = time.time()
    if not repo.reproduce([stage], single_item=True, force=force, **how):
        return "reused"
    return "computed" if ran_since(stage, began) else "restored"


def worked_s(stage: str, how: How) -> float | None:
    """How long processors worked for a stage that was computed just now; None where nobody counted."""
    return worked.read(worked.file_of(LOGS / f"{stage}.log")) if how == "computed" else None


def said(error: Exception) -> str:
    """What DVC said of a failure, and the cause it names."""
    return f"{error}: {error.__cause__}" if error.__cause__ else str(error)


def fill(order: Order) -> Done:
    """Fill an order here: take what came before from the remote, bring the stage up, give it to the remote."""
    from dvc.exceptions import DvcException

    from flows.tidy import tidy
    from tasks.plan import load

    began = time.time()
    with _alone():
        try:
            demand(order.revision)
            tidy(load().plan)
            LOCK.write_text(order.lock, encoding="utf-8") if order.lock else LOCK.unlink(missing_ok=True)
            repo = opened()
            fetch_needs(repo, order.stage)
            how = bring_up(repo, order.stage, order.force, pull=True)
            repo.push(targets=[order.stage], run_cache=True)
        except CheckoutError as e:
            return Done(stage=order.stage, how="refused", worker=here(), why=str(e))
        except (DvcException, OSError) as e:
            log = tail(order.stage, SENT) if ran_since(order.stage, began) else []
            return Done(stage=order.stage, how="failed", worker=here(), why=said(e), log=tuple(log))
        entry = yaml.safe_load(LOCK.read_text(encoding="utf-8"))["stages"][order.stage]
    log = tail(order.stage, SENT) if how == "computed" else []
    spent = worked_s(order.stage, how)
    return Done(stage=order.stage, how=how, worker=here(), worked_s=spent, entry=entry, log=tuple(log))


@contextmanager
def _alone() -> Iterator[None]:
    """One order at a time in a checkout: each lays out a dvc.lock of its own."""
    from flows.sweep import mend

    lock = Path(".stillroom/order.lock")
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        mend()
        yield


def main() -> None:
    """Fill the order on stdin."""
    from flows.environment import quiet
    from tasks.__main__ import end_with

    os.environ.update({**quiet(), "STILLROOM_DRIVER": str(os.getpid()), "STILLROOM_LOGS": str(LOGS)})
    end_with(os.getppid())
    done = fill(Order.model_validate_json(sys.stdin.read()))
    print(f"\n{done.model_dump_json()}")


if __name__ == "__main__":
    main()
