"""Every figure by which variants may be bounded, preferred and compared: its name, and which way is better.

Quality is that on `val`. A bound on `accuracy_drop`, `worst_class_drop` or a latency's ratio to the reference's holds
for the upper end of its 95 % interval; one on the same name with `_estimate` for what was measured. A bound in ms holds
for what was measured: how fast this machine was in that hour no interval over its rounds tells. Latencies, throughput
and what follows from them are those at the first of bench.threads and of bench.batch. `flips` is the share of rows that
went from right to wrong. `portability_disagreement` counts a file that could not be judged as 1: nothing is known.
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
    "latency_p95_ratio",
    "latency_p99_ratio",
    "cold_start_ms",
    "peak_memory_mb",
    "flips",
    "portability_disagreement",
    "cost_per_million",
    "joules_per_request",
    "grams_co2_per_million",
]
"""The less the better."""

Estimate = Literal[
    "accuracy_drop_estimate",
    "worst_class_drop_estimate",
    "latency_ratio_estimate",
    "latency_p95_ratio_estimate",
    "latency_p99_ratio_estimate",
]
"""What was measured, without its interval: for bounds alone."""

Higher = Literal["accuracy", "macro_f1", "agreement", "rows_per_s"]
"""The more the better."""

Metric = Literal[Lower, Higher]
Ceiling = Literal[Lower, Estimate]
HIGHER: Final = ("accuracy", "macro_f1", "agreement", "rows_per_s")


def cost(metric: str, value: float) -> float:
    """`value` turned so that less is better."""
    return -value if metric in HIGHER else value
