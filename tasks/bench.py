"""Measures how fast every variant answers: all in one process, interleaved, so that each meets the same machine.

Within a round every variant is called in shuffled order for `round_ms`; a round gives one ratio to the reference, and
the median over rounds with its bootstrap interval is what is reported. Slow drift of the machine (load, clock) cancels
in the ratio. Run it last and alone.

Every variant meets the same real rows of `val`, at least 256 of them, for the work of some depends on the row. A
round is summed up by the median of its calls; by their mean, for it and the reference, where the graph has an `If`.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from tasks.core import artifact
from tasks.core.contract import Split
from tasks.core.dataset import read_data
from tasks.core.graph import has_branches
from tasks.core.results import Bench, Timing
from tasks.core.seed import seed_for
from tasks.core.timing import Center, measure, round_ratios
from tasks.evidence import rapl
from tasks.evidence.machine import machine, usable_cores
from tasks.evidence.session import caller, open_session
from tasks.evidence.stats import median_interval
from tasks.plan.schema import Settings

Array = np.ndarray[Any, Any]
ENERGY_SECONDS = 1.0


def run(settings: Settings) -> None:
    """Write results/bench.json."""
    plan, val = settings.plan, read_data(artifact.DATA).split("val")
    load_before = os.getloadavg()[0]
    if load_before > usable_cores() / 2:
        print(f"bench: the machine is busy (load {load_before:.1f}): intervals will be wide")
    timings: dict[str, list[Timing]] = {name: [] for name in plan.variants}
    branching = {name for name in plan.variants if has_branches(artifact.load_graph(name))}
    for threads in plan.bench.threads:
        sessions = {name: open_session(artifact.variant_folder(name) / "model.onnx", threads) for name in plan.variants}
        for batch in plan.bench.batch:
            point = f"bench/{threads}/{batch}"
            calls = {name: caller(session, val, batch) for name, session in sessions.items()}
            rounds = measure(calls, plan.bench.rounds, plan.bench.round_ms, seed_for(plan.seed, point))
            for name in plan.variants:
                center = np.mean if name in branching else np.median
                timing = summarize(rounds[name], rounds[plan.choose.reference], threads, batch, plan.seed, center)
                timings[name].append(timing)
            print(f"{point}: " + ", ".join(f"{name} {timings[name][-1].p50_ms:.3f} ms" for name in plan.variants))
    artifact.write_json(
        artifact.BENCH,
        Bench(
            reference=plan.choose.reference,
            machine=machine(load_before, os.getloadavg()[0]),
            rounds=plan.bench.rounds,
            timings={name: tuple(each) for name, each in timings.items()},
            joules_per_row=energy(settings, val),
        ),
    )


def energy(settings: Settings, val: Split) -> dict[str, float]:
    """Joules of one row at the first thread count and batch size; empty where the processor's counter is unreadable."""
    plan = settings.plan
    threads, batch, found = plan.bench.threads[0], plan.bench.batch[0], {}
    for name in plan.variants if rapl.read() else ():
        session = open_session(artifact.variant_folder(name) / "model.onnx", threads)
        joules = rapl.joules_per_row(caller(session, val, batch), batch, ENERGY_SECONDS)
        if joules is not None:
            found[name] = joules
    return found


def summarize(
    rounds: list[Array], reference: list[Array], threads: int, batch: int, seed: int, center: Center = np.median
) -> Timing:
    """Percentiles over all calls, and the ratio to the reference over rounds, each summed up by `center`."""
    all_ms = np.concatenate(rounds)
    p50, p95, p99 = (float(p) for p in np.percentile(all_ms, (50, 95, 99)))
    ratios = round_ratios(rounds, reference, center)
    return Timing(
        threads=threads,
        batch=batch,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        rows_per_s=float(1000 * batch * len(all_ms) / all_ms.sum()),
        calls=len(all_ms),
        ratio=median_interval(ratios, seed_for(seed, f"bootstrap/{threads}/{batch}")),
    )
