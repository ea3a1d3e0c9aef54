"""Every figure by which variants may be bounded, preferred and compared: its name, and which way is better.

Quality is that on `val`. Latencies, throughput and what follows from them are those at the first of bench.threads and
of bench.batch. `portability_disagreement` counts a file that could not be judged as 1: nothing is known of it.
"""

from __future__ import annotations

from typing import Final, Literal

Lower = Literal[
    "accuracy_drop",
    "worst_class_drop",
    "calibration_error",
    "size_mb",
    "parameters",
    "macs",
    "latency_p50_ms",
    "latency_p95_ms",
    "latency_p99_ms",
    "latency_ratio",
    "portability_disagreement",
    "cost_per_million",
    "joules_per_request",
    "grams_co2_per_million",
]
"""The less the better."""

Higher = Literal["accuracy", "macro_f1", "agreement", "rows_per_s"]
"""The more the better."""

Metric = Literal[Lower, Higher]
HIGHER: Final = ("accuracy", "macro_f1", "agreement", "rows_per_s")


def cost(metric: str, value: float) -> float:
    """`value` turned so that less is better."""
    return -value if metric in HIGHER else value
