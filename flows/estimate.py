"""What a run will take, reckoned from its rehearsal: time, memory and disk of every step and in all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tasks.core.rehearsal import Sizes
from tasks.plan import Plan
from tasks.plan.shorten import passes, shortened, trials


class Rehearsed(NamedTuple):
    """One step of the rehearsal: what it took there."""

    step: str
    seconds: float
    peak_mb: float
    laps: tuple[float, ...]


class Estimate(NamedTuple):
    """One step of the run: what it will take, more or less."""

    step: str
    seconds: float
    peak_mb: float
    disk_mb: float


def estimates(
    plan: Plan, sizes: Sizes, done: list[Rehearsed], row_s: Mapping[str, float], folder: Path
) -> list[Estimate]:
    """From the rehearsal to the run; `row_s` is what a variant takes to answer a row.

    A build grows with its passes and their rows, an evaluation with the rows that it and the reference answer; the rest
    stays as it was. `folder` is the rehearsal's, whose models are as large as the run's.
    """
    start_s = min(each.seconds for each in done)  # what any step takes before it begins
    grows = sizes.rows["train"] / max(1, sizes.rehearsed["train"])
    more_rows = sum(sizes.rows[split] - sizes.rehearsed[split] for split in ("val", "test"))
    data_mb = sum(sizes.rows.values()) * sizes.row_bytes / 1e6
    found = []
    for each in done:
        verb, _, name = each.step.partition("@")
        seconds, peak, disk = each.seconds, each.peak_mb, _disk_mb(folder, verb, name)
        if verb == "handful":
            verb, peak, disk = "prepare", peak + data_mb, data_mb
        elif verb == "build":
            params = plan.variants[name].params
            one = median(each.laps[1:] or each.laps) if each.laps else 0.0
            more_trials = trials(params) / trials(shortened(params))
            rest = max(0.0, seconds - sum(each.laps) - start_s) * more_trials
            seconds, peak = start_s + rest + passes(params) * one * grows, peak + data_mb
        elif verb == "evaluate":
            seconds += more_rows * (row_s[name] + row_s[plan.choose.reference])
        elif verb == "bench":
            seconds += len(plan.bench.engines) * len(plan.bench.threads) * plan.bench.budget_s  # at most
        found.append(Estimate("@".join(filter(None, (verb, name))), seconds, peak, disk))
    return found


def _disk_mb(folder: Path, verb: str, name: str) -> float:
    """What a step left on the disk of the rehearsal: a model's size does not depend on the rows."""
    place = {"build": folder / "artifacts" / name, "package": folder / "results/package"}.get(verb)
    return sum(f.stat().st_size for f in place.rglob("*") if f.is_file()) / 1e6 if place else 0.0


def told(found: list[Estimate], workers: int) -> str:
    """The table for people, and the whole."""
    wide = max(len(each.step) for each in found)
    lines = [f"{'step'.ljust(wide)}  {'time':>9}  {'memory, MB':>10}  {'disk, MB':>9}"]
    lines += [f"{e.step.ljust(wide)}  {clock(e.seconds):>9}  {e.peak_mb:10.0f}  {e.disk_mb:9.1f}" for e in found]
    memory = sum(sorted((e.peak_mb for e in found), reverse=True)[:workers])
    whole = f"in all about {clock(sum(e.seconds for e in found))} of work ({workers} steps side by side: less)"
    return "\n".join([*lines, f"{whole}, {memory:.0f} MB of memory, {sum(e.disk_mb for e in found):.0f} MB of disk"])


def clock(seconds: float) -> str:
    """As in 42 s, 3 min, 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
