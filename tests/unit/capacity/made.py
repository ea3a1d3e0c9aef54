"""Levels made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from tasks.capacity.levels import QUANTILES, Level


def level(concurrency: int, rate: float = 100.0, p95_ms: float = 10.0, **other: Any) -> Level:
    """A level whose latencies are all `concurrency / rate`, as Little's law wants, but for what is said of it."""
    mean_ms = 1000 * concurrency / rate
    figures: dict[str, Any] = {
        "concurrency": concurrency,
        "answered": 1000,
        "requests_per_s": rate,
        "mean_ms": mean_ms,
        "p50_ms": mean_ms,
        "p95_ms": p95_ms,
        "p99_ms": p95_ms,
        "in_flight": float(concurrency),
        "cpu_cores": 1.0,
        "cpu_ms_per_request": 1000 / rate,
        "rss_mb": 400.0,
        "pss_mb": 300.0,
        "generator_cores": 0.1,
        "quantiles_ms": (mean_ms,) * len(QUANTILES),
    }
    return Level(**{**figures, **other})


def exponential(concurrency: int, rate: float) -> Level:
    """A level of one server at `rate` with exponential times, first come first served: c requests wait c services."""
    draws = np.random.default_rng(concurrency).gamma(concurrency, 1000 / rate, 200_000)
    return level(concurrency, rate, quantiles_ms=tuple(np.quantile(draws, QUANTILES).tolist()))
