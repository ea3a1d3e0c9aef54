"""What a bound of `choose` or of a gate is held against: the upper end of an interval, wherever a figure has one.

"Within a point" then means that the data are 95 % sure of it. The measured value alone can be bounded under the same
name with `_estimate`. `choose` reckons so on `val`, the gates on `test`.
"""

from __future__ import annotations

from collections.abc import Mapping

from tasks.core.findings import Harm, Interval
from tasks.core.results import Timing
from tasks.evidence.harm import worst

ESTIMATE = "_estimate"
EXACT = 9  # decimals: more are noise of binary fractions (0.96 - 0.94 > 0.02), fewer could hide a row


def uncertain(harm: Harm, timing: Timing) -> dict[str, Interval]:
    """Every figure with an interval; drops are reference minus variant. Without groups there is no worst group."""
    found = {
        "accuracy_drop": harm.accuracy_drop,
        "worst_class_drop": worst(harm.recall_drop.values()),
        "latency_ratio": timing.ratio,
        "latency_p95_ratio": timing.p95_ratio,
        "latency_p99_ratio": timing.p99_ratio,
    }
    return found | ({"worst_group_drop": worst(harm.group_drop.values())} if harm.group_drop else {})


def bounded(figures: Mapping[str, Interval]) -> dict[str, float]:
    """Each figure's upper end under its own name, and the measured value as `<name>_estimate`."""
    upper = {name: round(found.high, EXACT) for name, found in figures.items()}
    return upper | {name + ESTIMATE: round(found.value, EXACT) for name, found in figures.items()}
