"""What a run would do, end to end, on a handful of rows, before the hours are spent.

Every step that the run would take is taken, with the training cut short: reading the data, every technique, export with
its parity, the benchmark, the choice, the package, the page, the service's start and MLflow. What fails there fails in
the first minute; from what succeeds, time, memory and disk of the run are estimated. Rows that are current are not
built again: the rehearsal starts from them, as the run would.
"""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterator

from flows.estimate import Estimate, Rehearsed, estimates
from flows.length import Length
from flows.rehearsal import FOLDER, PreflightError, rehearsal
from flows.stages import stages
from tasks.core.artifact import BENCH, read_json
from tasks.core.rehearsal import SIZES, Sizes
from tasks.core.results import Bench
from tasks.plan import Plan

ANSWER_S = 5.0  # how long the tracking server may take


def preflight(
    plan: Plan, stale: Collection[str], *, asked: bool, tell: Callable[[str], None] = lambda _: None
) -> list[Estimate]:
    """Rehearse what would run, and estimate it; PreflightError at the first step that fails. `tell` hears each step.

    Unless it is asked for, it ends as soon as the run is seen to be short, and returns an empty list.
    """
    length = Length(plan, stale)
    if not asked and length.short_unseen():
        return []
    if address := os.environ.get("MLFLOW_TRACKING_URI", ""):
        require_answer(address)
    with rehearsal(plan, stale) as run:
        done: list[Rehearsed] = []
        for step in steps(plan, stale):
            tell(step)
            done.append(run(step))
            sizes = read_json(FOLDER / SIZES, Sizes)
            if not asked and length.short(sizes, done):
                return []
        found = estimates(plan, sizes, done, read_json(FOLDER / BENCH, Bench), FOLDER)
    return [each for each in found if each.step in stale or each.step == "track"]


def require_answer(address: str) -> None:
    """PreflightError when `address` is a web address where nobody answers: a rehearsal has a store of its own."""
    if not address.startswith(("http://", "https://")):
        return
    try:
        urllib.request.urlopen(f"{address.rstrip('/')}/health", timeout=ANSWER_S).close()
    except urllib.error.HTTPError:
        return  # somebody is there, whatever is thought of the question
    except (OSError, ValueError) as e:
        raise PreflightError(
            f"preflight: track would fail, so nothing was begun:\n  MLFLOW_TRACKING_URI: {address}: no answer ({e})"
        ) from None


def steps(plan: Plan, stale: Collection[str]) -> Iterator[str]:
    """The steps, each after what it needs: all stages but the builds of rows that are current, then what comes after.

    Evaluations are not left out: on a handful of rows the current ones hold no more.
    """
    yield from (s.name for s in stages(plan) if s.name in stale or not s.name.startswith("build@"))
    yield from ("serve", "track")
