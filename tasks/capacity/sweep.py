"""The sweep: every concurrency in every round, in shuffled order, so that a busy spell falls on all of them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil

from tasks.capacity import process_tree
from tasks.capacity.closed_loop import Address, Load, Taken, run
from tasks.capacity.levels import QUANTILES, Level
from tasks.core.errors import StillroomError

Array = np.ndarray[Any, Any]
WARM_S = 0.3


@dataclass(frozen=True)
class Round:
    """One concurrency in one round."""

    taken: Taken
    server_cpu_s: float
    generator_cpu_s: float
    memory: process_tree.Memory


def one(address: Address, requests: Sequence[bytes], concurrency: int, seconds: float, pid: int) -> Round:
    """Load the server of process `pid`, and read what it and this process took meanwhile."""
    processes, me = process_tree.tree(pid), psutil.Process()
    server: list[float] = []
    generator: list[float] = []

    def edge() -> None:
        server.append(process_tree.cpu_s(processes))
        generator.append(process_tree.cpu_s([me]))

    load = Load(address, requests, concurrency)
    taken = asyncio.run(run(load, seconds=seconds, warm_s=WARM_S, edge=edge))
    return Round(taken, server[1] - server[0], generator[1] - generator[0], process_tree.memory(processes))


def sweep(
    measure: Callable[[int], Round], concurrencies: Sequence[int], rounds: int, told: Callable[[int, int], None]
) -> tuple[Level, ...]:
    """A Level for each concurrency, ascending; `told(done, of)` is called after each measurement."""
    order, shuffle = list(concurrencies), random.Random(0)
    taken: dict[int, list[Round]] = {c: [] for c in sorted(order)}
    for turn in range(rounds):
        shuffle.shuffle(order)
        for place, concurrency in enumerate(order):
            taken[concurrency].append(measure(concurrency))
            told(turn * len(order) + place + 1, rounds * len(order))
    return tuple(level(concurrency, its) for concurrency, its in taken.items())


def level(concurrency: int, rounds: Sequence[Round]) -> Level:
    """The medians of some rounds; StillroomError when one of them got no answer at all."""
    failed: Counter[str] = sum((r.taken.failed for r in rounds), Counter())
    if any(not r.taken.latencies_s for r in rounds):
        what = ", ".join(f"{n} x {why}" for why, n in failed.items()) or "nothing came back in time"
        raise StillroomError(f"concurrency {concurrency}: no answer with status 200: {what}")
    latencies = [np.array(r.taken.latencies_s) * 1000 for r in rounds]
    windows = np.array([r.taken.window_s for r in rounds])
    rates = np.array([len(one) for one in latencies]) / windows
    means = np.array([one.mean() for one in latencies])
    p50, p95, p99 = np.median([np.percentile(one, (50, 95, 99)) for one in latencies], axis=0)
    cpu = np.array([r.server_cpu_s for r in rounds])
    pss = [r.memory.pss_mb for r in rounds if r.memory.pss_mb is not None]
    return Level(
        concurrency=concurrency,
        answered=sum(map(len, latencies)),
        failed=dict(failed),
        requests_per_s=_median(rates),
        mean_ms=_median(means),
        p50_ms=float(p50),
        p95_ms=float(p95),
        p99_ms=float(p99),
        in_flight=_median(rates * means / 1000),
        cpu_cores=_median(cpu / windows),
        cpu_ms_per_request=_median(1000 * cpu / windows / rates),
        rss_mb=max(r.memory.rss_mb for r in rounds),
        pss_mb=max(pss) if len(pss) == len(rounds) else None,
        generator_cores=_median(np.array([r.generator_cpu_s for r in rounds]) / windows),
        quantiles_ms=tuple(np.quantile(np.concatenate(latencies), QUANTILES).tolist()),
    )


def _median(values: Array) -> float:
    return float(np.median(values))
