"""Which variants the benchmark does not show to be slower than the one that was chosen for its latency.

A choice must fall, and falls for the smallest measured value, then size, then name, so that equal evidence chooses
alike. Whether another run would choose alike is what this says.

Of latencies alone. `rows_per_s` and what follows from it (cost, and energy and carbon where they are estimated) come
from the same rounds, but from the mean over all calls, of which no interval is kept, and measured energy from a counter
that is read once: close calls in these are not named.
"""

from __future__ import annotations

from collections.abc import Mapping

from tasks.core.findings import Interval
from tasks.core.results import Timing
from tasks.evidence.difference import latency_over, quotient


def over(metric: str, new: Timing, old: Timing) -> Interval | None:
    """Latency `new` over `old` in `metric`; None for what is no latency, and so has no such interval."""
    if metric in ("latency_p50_ms", "latency_ratio"):
        return latency_over(new, old)
    if metric in ("latency_p95_ms", "latency_p95_ratio"):
        return quotient(new.p95_ratio, old.p95_ratio)
    if metric in ("latency_p99_ms", "latency_p99_ratio"):
        return quotient(new.p99_ratio, old.p99_ratio)
    return None


def tied(metric: str, best: Timing, others: Mapping[str, Timing]) -> dict[str, Interval]:
    """Of `others` those which the rounds do not show to be slower than `best`: their latency over its."""
    found = {name: over(metric, timing, best) for name, timing in others.items()}
    return {name: ratio for name, ratio in found.items() if ratio is not None and ratio.low <= 1}


def sentence(metric: str, best: str, found: Mapping[str, Interval]) -> str:
    """What a person is told of them."""
    each = ", ".join(f"{name} ({ratio.low:.2f} to {ratio.high:.2f} times)" for name, ratio in found.items())
    return f"{metric} does not tell {best} from {each}: the value as measured decided, another run may decide otherwise"
