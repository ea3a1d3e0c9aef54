"""The metrics of one variant in MLflow: the same names for every variant of every run, with their units."""

from __future__ import annotations

import hashlib
import json

from tasks.evidence.harm import worst
from tasks.evidence.portability import disagreement
from tasks.track.evidence import Row


def metrics(row: Row) -> dict[str, float]:
    """Quality on both splits, size, latency and cost; whole numbers as they are, others in six digits, to be read."""
    return {name: value if float(value).is_integer() else float(f"{value:.6g}") for name, value in _all(row).items()}


def evidence_sha256(row: Row) -> str:
    """Of everything that is logged of a variant: equal ones need not be logged twice."""
    parts = (row.card, row.evaluation, row.timing, row.footprint, row.worth)
    told = [part.model_dump(mode="json") if part else None for part in parts]
    return hashlib.sha256(json.dumps([*told, metrics(row)], sort_keys=True).encode()).hexdigest()


def _all(row: Row) -> dict[str, float]:
    ours, ratio, tail = row.evaluation, row.timing.ratio, row.timing.p95_ratio
    return {
        "test_accuracy": ours.test.accuracy,
        "val_accuracy": ours.val.accuracy,
        "test_macro_f1": ours.test.macro_f1,
        "test_agreement": ours.test.agreement,
        "test_calibration_error": ours.test.calibration_error,
        "test_accuracy_drop": ours.harm.accuracy_drop.value,
        "test_accuracy_drop_low": ours.harm.accuracy_drop.low,
        "test_accuracy_drop_high": ours.harm.accuracy_drop.high,
        "test_worst_class_drop": worst(ours.harm.recall_drop.values()).value,
        "test_worst_class_drop_high": worst(ours.harm.recall_drop.values()).high,
        "test_flips": ours.harm.flips,
        "test_classes_hurt": len(ours.harm.hurt_classes),
        "test_classes_never_predicted": len(ours.harm.never_predicted),
        "size_bytes": ours.size_bytes,
        "parameters": ours.parameters,
        "macs": ours.macs,
        "latency_p50_ms": row.timing.p50_ms,
        "latency_p95_ms": row.timing.p95_ms,
        "latency_ratio": ratio.value,
        "latency_ratio_low": ratio.low,
        "latency_ratio_high": ratio.high,
        "latency_p95_ratio": tail.value,
        "latency_p95_ratio_low": tail.low,
        "latency_p95_ratio_high": tail.high,
        "latency_p99_ms": row.timing.p99_ms,
        "throughput_rows_per_s": row.timing.rows_per_s,
        **_costs(row),
    }


def _costs(row: Row) -> dict[str, float]:
    """What is known only of some: memory and cold start, money and energy, portability, nearness to the limit."""
    found: dict[str, float | None] = {
        "latency_limit_share": row.timing.limit_share,
        "portability_disagreement": disagreement(row.evaluation.portability),
    }
    if row.footprint:
        found["cold_start_ms"] = row.footprint.cold_start_ms.value
        found["peak_memory_mb"] = row.footprint.peak_memory_mb
    if row.worth:
        found[f"cost_per_million_{row.worth.currency.lower()}"] = row.worth.cost_per_million
        found["joules_per_request"] = row.worth.joules_per_request
        found["grams_co2_per_million"] = row.worth.grams_co2_per_million
    if row.evaluation.harm.fairness:
        found |= {f"test_{name}": value for name, value in row.evaluation.harm.fairness.model_dump().items()}
    return {name: value for name, value in found.items() if value is not None}
