"""What a run will take, reckoned from its rehearsal: time, memory and disk of every step and in all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from flows.evaluation import evaluate_s, grown_mb
from tasks.core.frozen import Frozen
from tasks.core.rehearsal import Kind, Lap, Sizes
from tasks.core.results import Bench, Timing
from tasks.plan import Plan
from tasks.plan.shorten import passes, shortened, trials

STAGE_S = 1.0  # what DVC takes about a step: hashing, its lock, its cache


class Rehearsed(NamedTuple):
    """One step of the rehearsal: what it took there, and what a process of its own would take to begin."""

    step: str
    seconds: float
    start_s: float
    peak_mb: float
    laps: tuple[Lap, ...] = ()


class Estimate(Frozen):
    """One step of the run: what it will take, more or less."""

    step: str
    seconds: float
    peak_mb: float
    disk_mb: float


def estimates(plan: Plan, sizes: Sizes, done: Sequence[Rehearsed], bench: Bench, folder: Path) -> list[Estimate]:
    """From the rehearsal to the run, for every step that was rehearsed.

    A build grows with its passes and their rows, an evaluation with the rows that it and the reference answer, the
    bench with the rounds that it needs; the rest stays as it was. `folder` is the rehearsal's: its models are as large.
    """
    row_s = {name: answer_s(timings) for name, timings in bench.timings.items()}
    data_mb = sum(sizes.rows.values()) * sizes.row_bytes / 1e6
    found = []
    for each in done:
        verb, _, name = each.step.partition("@")
        seconds, peak, disk = each.seconds, each.peak_mb, disk_mb(folder, verb, name)
        if verb == "prepare":
            peak, disk = peak + data_mb, data_mb
        elif verb == "build":
            seconds, peak = build_s(plan, name, sizes, each), peak + data_mb
        elif verb == "evaluate":
            seconds = evaluate_s(sizes, each.seconds, each.laps, row_s[name] + row_s[plan.choose.reference])
            peak += grown_mb(each.laps, sizes)
        elif verb == "bench":
            seconds = bench_s(plan, bench, each)
        seconds += each.start_s + STAGE_S
        found.append(Estimate(step=each.step, seconds=seconds, peak_mb=peak, disk_mb=disk))
    return found


def answer_s(timings: Sequence[Timing]) -> float:
    """A row's answer as an evaluation gets it, on ONNX Runtime's processor; of a plan without that, its fastest."""
    return min(t.p50_ms / t.batch for t in [t for t in timings if t.engine == "onnxruntime"] or timings) / 1000


def build_s(plan: Plan, name: str, sizes: Sizes, seen: Rehearsed) -> float:
    """Every pass with all of its rows, and whatever else the step did as long as it took, once for each trial."""
    params = plan.variants[name].params
    short = shortened(params)
    rest = max(0.0, seen.seconds - sum(each.seconds for each in seen.laps))
    rehearsed = sum(each.kind == "train" for each in seen.laps)
    calibrated = getattr(params, "calibration_rows", None) or sizes.rows["calibration"]
    asked = lap_s(seen.laps, "answers", sizes.rows["val"]) + lap_s(seen.laps, "calibration", calibrated)
    more = passes(params) / max(1, passes(short))  # not its passes: how often a technique trains, it alone knows
    again = trials(params) / trials(short)
    return again * (rest + asked) + rehearsed * more * pass_s(seen.laps, sizes)


def lap_s(seen: Sequence[Lap], kind: Kind, rows: int) -> float:
    """The laps of a kind, if each had had so many rows."""
    return sum(each.seconds / each.rows for each in seen if each.kind == kind) * rows


def pass_s(seen: Sequence[Lap], sizes: Sizes) -> float:
    """A pass over all rows of train, and the look at val after it; 0 where nothing was trained."""
    return sum(row_seconds(seen, kind) * sizes.rows[kind] for kind in ("train", "val"))


def row_seconds(seen: Sequence[Lap], kind: Kind) -> float:
    """What a row took in the passes of a kind, the first left out, which is always slow; 0 where there was none."""
    rates = [each.seconds / each.rows for each in seen if each.kind == kind]
    return median(rates[1:] or rates) if rates else 0.0


def bench_s(plan: Plan, bench: Bench, seen: Rehearsed) -> float:
    """Rounds until every interval is narrow enough, each as long as the plan says; no longer than `budget_s`."""
    block = plan.bench
    calls_s = len(plan.variants) * len(block.batch) * block.round_ms / 1000
    widths = [(t.ratio.high - t.ratio.low) / 2 / t.ratio.value for each in bench.timings.values() for t in each]
    rounds = next(iter(bench.timings.values()))[0].rounds
    # An interval narrows with the square root of the time that was measured.
    needed = rounds * (max(widths) / block.precision) ** 2
    return seen.seconds + races(plan) * min(block.budget_s, max(needed, block.rounds) * calls_s)


def races(plan: Plan) -> int:
    """How often rounds are added until it is enough: once for each engine and thread count."""
    return len(plan.bench.engines) * len(plan.bench.threads)


def budget_s(plan: Plan) -> float:
    """For how long the bench may add rounds at most."""
    return races(plan) * plan.bench.budget_s


def disk_mb(folder: Path, verb: str, name: str) -> float:
    """What a step left on the disk of the rehearsal: a model's size does not depend on the rows."""
    places = {"build": folder / "artifacts" / name, "package": folder / "results/package", "track": folder / "mlflow"}
    place = places.get(verb)
    return sum(f.stat().st_size for f in place.rglob("*") if f.is_file()) / 1e6 if place else 0.0
