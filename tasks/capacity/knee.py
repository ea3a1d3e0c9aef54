"""The knee of a measured curve: up to where more requests in flight still mean more answers, in time.

*Closed loop*: c clients, each with one request in flight. Little's law (Little 1961, Operations Research 9:383) ties
the three numbers of a level together: c = throughput * mean latency. What is missing is time that requests spent in the
load generator, between an answer and the next request.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tasks.capacity.levels import Knee, Level

ROOM = 0.8  # of the latency that is promised: what measuring, other machines and bad minutes may take
NEARLY_ALL = 0.9  # of the largest throughput
LITTLE_MOST = 0.1  # share of the concurrency that may be missing
GENERATOR_MOST = 0.8  # of a core: an event loop that is busier lets answers wait, and takes that for latency
FAILED_MOST = 0.001


def good(level: Level) -> bool:
    """Whether a level counts: next to nothing failed."""
    failed = sum(level.failed.values())
    return failed <= FAILED_MOST * (failed + level.answered)


def knee(levels: Sequence[Level], sla_ms: float) -> Knee | None:
    """The largest concurrency with p95 <= 0.8 * `sla_ms` and throughput >= 0.9 of the largest; None: none keeps p95.

    Where throughput still grows when the latency is used up, it is the largest that keeps the latency, and says so.
    """
    counted = [level for level in levels if good(level)]
    kept = [level for level in counted if level.p95_ms <= ROOM * sla_ms]
    if not kept:
        return None
    most = max(level.requests_per_s for level in counted)
    full = [level for level in kept if level.requests_per_s >= NEARLY_ALL * most]
    best = max(full or kept, key=lambda level: level.concurrency)
    share = best.requests_per_s / most
    told = f"{best.requests_per_s:,.0f} requests a second, {share:.0%} of the most, with p95 {best.p95_ms:.1f} ms"
    if not full:
        told += f"; more in flight gives more answers, but later than {ROOM:.0%} of {sla_ms:g} ms"
    if best.concurrency == max(level.concurrency for level in levels):
        told += "; the largest that was tried, so the knee may lie beyond"
    return Knee(
        concurrency=best.concurrency,
        requests_per_s=best.requests_per_s,
        p95_ms=best.p95_ms,
        saturated=bool(full),
        sentence=told,
    )


def ceiling(found: Knee, timeout_s: float) -> int:
    """In flight in one replica before 429: four times the knee, as far as all of it is answered in half the time limit.

    Two times at least: arrivals at random come in bunches, and a bunch that is refused is worse than one that is late.
    """
    in_time = math.floor(found.requests_per_s * timeout_s / 2)
    return max(2 * found.concurrency, min(4 * found.concurrency, in_time))


def between(levels: Sequence[Level], sla_ms: float) -> tuple[int, ...]:
    """Concurrencies to try as well: between the knee and the next level, when only that one's latency is too high."""
    found = knee(levels, sla_ms)
    if found is None:
        return ()
    above = [level.concurrency for level in levels if level.concurrency > found.concurrency]
    if not above or not found.saturated:
        return ()
    gap = min(above) - found.concurrency
    return tuple(sorted({found.concurrency + gap * part // 4 for part in (1, 2, 3)} - {found.concurrency}))


def warnings(levels: Sequence[Level]) -> tuple[str, ...]:
    """What a reader must know before trusting the levels; empty when there is nothing."""
    told = []
    for level in levels:
        at = f"concurrency {level.concurrency}"
        if level.failed:
            parts = ", ".join(f"{n} x {what}" for what, n in sorted(level.failed.items()))
            out = "" if good(level) else ": left out of the knee"
            told.append(f"{at}: {parts} beside {level.answered} answers{out}")
        if (missing := 1 - level.in_flight / level.concurrency) > LITTLE_MOST:
            told.append(
                f"{at}: Little's law is off: throughput * mean latency is {level.in_flight:.2f}, so {missing:.0%} of"
                " the clients waited in the load generator; throughput is too low"
            )
        if level.generator_cores > GENERATOR_MOST:
            told.append(
                f"{at}: the load generator was the limit: it took {level.generator_cores:.2f} of a core; throughput is"
                " too low and latency too high"
            )
    return tuple(told)
