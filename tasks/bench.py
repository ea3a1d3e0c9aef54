"""Measures how fast every variant answers and writes the certificate: all in one process, round after round, kept on
as many processors as it has threads.

In a round every variant is opened anew and called for `round_ms` at every batch size, in shuffled order; a round gives
one ratio to the reference, and the median over rounds with its distribution-free interval is what is reported; of p95
and p99 likewise, over as many rounds as hold enough calls (tasks/core/tails.py). All intervals of the certificate hold
together with 95 % (Bonferroni). Rounds are added until those of the typical call are as narrow as `precision` asks or
`budget_s` is over, which is said. Run it last and alone; a machine that was not quiet is named.

Every variant meets the same real rows of `val`, at least 256 of them, for the work of some depends on the row. A
round is summed up by the median of its calls; by their mean, for it and the reference, where the graph has an `If`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import Any

import numpy as np

from tasks.core import artifact
from tasks.core.dataset import read_data
from tasks.core.findings import Footprint, Limit
from tasks.core.graph import has_branches
from tasks.core.median import fewest, median_interval
from tasks.core.points import EngineName, Point
from tasks.core.race import Laps, Opener, race
from tasks.core.results import Bench, Timing
from tasks.core.seed import seed_for
from tasks.evidence import child, rapl
from tasks.evidence.arithmetic import macs_by_arithmetic
from tasks.evidence.engines import agreement, caller, open_model
from tasks.evidence.machine import machine, usable_cores
from tasks.evidence.noise import Watch
from tasks.evidence.pin import pinned
from tasks.evidence.session import feeds_of
from tasks.evidence.standing import RATIOS, Standing, confidence_for, told
from tasks.plan.schema import Plan, Settings

ENERGY_SECONDS = 1.0
LOOK_EVERY = 5  # rounds, at whether the intervals are narrow by now


def run(settings: Settings) -> None:
    """Write results/bench.json."""
    plan, load_before = settings.plan, os.getloadavg()[0]
    if load_before > usable_cores() / 2:
        print(f"bench: the machine is busy (load {load_before:.1f}): intervals will be wide")
    sweep = Sweep(plan)
    limits, watch = sweep.limits, Watch()  # what measures the limits must not count as noise
    timings: dict[str, list[Timing]] = {name: [] for name in plan.variants}
    starts: dict[str, Laps] = {}
    kept: dict[int, tuple[int, ...]] = {}
    for engine in plan.bench.engines:
        for threads in plan.bench.threads:
            with pinned(threads) as kept[threads]:
                laps = sweep.race(engine, threads, watch)
            starts = starts or laps
            for name, found in sweep.timings(laps, engine, threads).items():
                timings[name] += found
    noise = watch.read()
    for disturbance in noise.disturbances:
        print(f"bench: the machine was not quiet: {disturbance}; the ratios bear it, absolute times may not")
    artifact.write_json(
        artifact.BENCH,
        Bench(
            reference=plan.choose.reference,
            machine=machine(load_before, os.getloadavg()[0]),
            noise=noise,
            comparisons=sweep.comparisons,
            confidence=sweep.standing.confidence,
            precision=plan.bench.precision,
            timings={name: tuple(each) for name, each in timings.items()},
            limits=tuple(limits.values()),
            footprints={name: sweep.footprint(name, laps) for name, laps in starts.items()},
            joules_per_row=sweep.energy(),
            pinned=kept,
        ),
    )


@dataclass
class Sweep:
    """The points of the plan's benchmark, and what is needed at every one of them."""

    plan: Plan

    def __post_init__(self) -> None:
        val = read_data(artifact.DATA).split("val")
        graphs = {name: artifact.load_graph(name) for name in self.plan.variants}
        shapes = {name: np.asarray(rows).shape[1:] for name, rows in val.inputs.items()}
        branching = {name for name, graph in graphs.items() if has_branches(graph)}
        self.feeds = {batch: feeds_of(val, batch) for batch in self.plan.bench.batch}
        self.macs = {name: macs_by_arithmetic(g, shapes) for name, g in graphs.items() if name not in branching}
        block = self.plan.bench
        points = len(block.engines) * len(block.threads) * len(block.batch)
        self.comparisons = RATIOS * (len(graphs) - 1) * points
        confidence = confidence_for(self.comparisons)
        self.standing = Standing(self.plan.choose.reference, branching, confidence, block.precision)

    @cached_property
    def limits(self) -> dict[int, Limit]:
        """The machine's own, by thread count."""
        counts = self.plan.bench.threads
        return {n: Limit(threads=n, **child.ask("tasks.evidence.limits", n)) for n in counts}

    def race(self, engine: EngineName, threads: int, watch: Watch) -> dict[str, Laps]:
        """Rounds of all variants at every batch size, until the intervals are narrow or the time is over."""
        block, start = self.plan.bench, perf_counter()
        least = max(block.rounds, fewest(self.standing.confidence))

        def opener(name: str) -> Opener:
            path = artifact.variant_folder(name) / "model.onnx"

            def open_anew() -> list[Any]:
                model = open_model(engine, path, threads)
                return [caller(model, each) for each in self.feeds.values()]

            return open_anew

        def go_on(laps: Mapping[str, Laps]) -> bool:
            done = laps[self.standing.reference].rounds
            if done < fewest(self.standing.confidence):
                return True
            if perf_counter() - start > block.budget_s:
                return False
            return done < least or bool((done - least) % LOOK_EVERY) or not self.standing.settled(laps)

        openers = {name: opener(name) for name in self.plan.variants}
        seed = seed_for(self.plan.seed, f"bench/{engine}/{threads}")
        return race(openers, len(self.feeds), block.round_ms, seed, go_on, watch.tick)

    def timings(self, laps: Mapping[str, Laps], engine: EngineName, threads: int) -> dict[str, list[Timing]]:
        """Of every variant one for each batch size; each point is printed."""
        found: dict[str, list[Timing]] = {name: [] for name in laps}
        agreement = {name: self.agreement(name, engine, threads) for name in laps}
        for k, batch in enumerate(self.feeds):
            point = Point(engine, threads, batch)
            for name in laps:
                timing = self.standing.timing(laps, name, k, point)
                share = self.limit_share(name, timing)
                found[name].append(timing.model_copy(update={"limit_share": share, "agreement": agreement[name]}))
            print(f"{point}, {laps[name].rounds} rounds")
            for name in laps:
                print(f"  {name}: {told(found[name][-1])}")
        return found

    def limit_share(self, name: str, timing: Timing) -> float | None:
        """The multiplications' time at the processor's best rates over the measured.

        None where they depend on the row, and where another device did them.
        """
        if name not in self.macs or timing.engine == "onnxruntime_cuda":
            return None
        rates = self.limits[timing.threads].gmacs_per_s
        least_ms = sum(timing.batch * macs / rates[kind] / 1e6 for kind, macs in self.macs[name].items())
        return float(least_ms / timing.p50_ms)

    def agreement(self, name: str, engine: EngineName, threads: int) -> float:
        """The share of the timed rows that get the top class that ONNX Runtime gives them on the processor."""
        path = artifact.variant_folder(name) / "model.onnx"
        return agreement(engine, path, threads, next(iter(self.feeds.values())))

    def footprint(self, name: str, laps: Laps) -> Footprint:
        """Cold start at the first point's engine and threads, and the memory of a process of ONNX Runtime."""
        path, block = artifact.variant_folder(name) / "model.onnx", self.plan.bench
        memory = child.ask("tasks.evidence.footprint", path, block.threads[0], *block.batch)
        return Footprint(cold_start_ms=median_interval(np.array(laps.cold_ms)), **memory)

    def energy(self) -> dict[str, float]:
        """Joules of one row at the first point; empty where the processor's counter is unreadable."""
        point, found = self.plan.bench.first, {}
        for name in self.plan.variants if rapl.read() else ():
            model = open_model(point.engine, artifact.variant_folder(name) / "model.onnx", point.threads)
            joules = rapl.joules_per_row(caller(model, self.feeds[point.batch]), point.batch, ENERGY_SECONDS)
            if joules is not None:
                found[name] = joules
        return found
