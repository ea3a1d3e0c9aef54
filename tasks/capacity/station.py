"""A replica under requests that arrive at random, predicted from a closed-loop sweep.

The replica is a flow-equivalent server (Chandy, Herzog and Woo 1975, IBM J. Res. Dev. 19:36): with n in flight it
finishes requests at the rate that was measured with n clients. With Poisson arrivals that is a birth-death chain, whose
stationary distribution is a product. By the arrival theorem (Sevcik and Mitrani 1981, J. ACM 28:358; Lavenberg and
Reiser 1980) a request that finds n in flight is taken to wait as one of n + 1 clients did. Requests that find
`max_concurrency` in flight are refused (429).

*Shapes*: K = max_concurrency; n = 0..K; Q = quantiles. Between measured concurrencies everything is linear; beyond the
largest, throughput stays and latency grows in proportion. Zero arrivals: nothing in flight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from tasks.capacity.knee import ROOM, good
from tasks.capacity.levels import QUANTILES, Level, Safe

Array = np.ndarray[Any, Any]
LATE_MOST = 0.05  # p95
REFUSED_MOST = 0.001
HALVINGS = 50


@dataclass(frozen=True)
class Steady:
    """One replica at one rate of arrivals, in the long run; `spread` is the standard deviation of what is in flight."""

    in_flight: float
    spread: float
    answered_per_s: float
    mean_ms: float
    late_share: float
    refused_share: float


@dataclass(frozen=True, eq=False)
class Station:
    """`rate_per_s` (K,) answers a second with 1..K in flight; `latency_ms` (K, Q) at `QUANTILES`; CPU a request."""

    rate_per_s: Array
    latency_ms: Array
    cpu_s: float = 0.0

    @classmethod
    def of(cls, levels: Sequence[Level], max_concurrency: int) -> Station:
        """From the levels of a sweep that count, in any order; ValueError when none does."""
        counted = sorted((level for level in levels if good(level)), key=lambda level: level.concurrency)
        if not counted:
            raise ValueError("no level without failures")
        at = np.arange(1, max_concurrency + 1)
        tried = [level.concurrency for level in counted]
        rates = np.interp(at, tried, [level.requests_per_s for level in counted])
        table = np.array([level.quantiles_ms for level in counted])  # (levels, Q)
        latency = np.stack([np.interp(at, tried, column) for column in table.T], axis=1)
        latency *= np.maximum(1.0, at / tried[-1])[:, None]
        return cls(rates, latency, float(np.median([level.cpu_ms_per_request for level in counted])) / 1000)

    @property
    def max_concurrency(self) -> int:
        """K."""
        return len(self.rate_per_s)

    def shares(self, arrivals_per_s: float) -> Array:
        """(K + 1,) the share of time that n requests are in flight."""
        if arrivals_per_s <= 0:
            return np.asarray(np.eye(1, self.max_concurrency + 1)[0])
        log = np.concatenate([[0.0], np.cumsum(np.log(arrivals_per_s / self.rate_per_s))])
        weights = np.exp(log - log.max())
        return np.asarray(weights / weights.sum())

    @lru_cache(maxsize=4)  # noqa: B019 - a station lives as long as the process
    def tail(self, limit_ms: float) -> Array:
        """(K,) the share of requests that take longer than `limit_ms` as one of 1..K in flight."""
        return np.array([1 - np.interp(limit_ms, row, QUANTILES, left=0.0, right=1.0) for row in self.latency_ms])

    def steady(self, arrivals_per_s: float, limit_ms: float) -> Steady:
        """What arrivals at random meet; `late_share` is that of answers later than `limit_ms`."""
        shares, n = self.shares(arrivals_per_s), np.arange(self.max_concurrency + 1)
        in_flight = float(shares @ n)
        answered = float(shares[1:] @ self.rate_per_s)
        taken = shares[:-1] / max(shares[:-1].sum(), 1e-300)  # what an accepted arrival finds
        return Steady(
            in_flight=in_flight,
            spread=max(0.0, float(shares @ n**2) - in_flight**2) ** 0.5,
            answered_per_s=answered,
            mean_ms=1000 * in_flight / answered if answered else 0.0,
            late_share=float(taken @ self.tail(limit_ms)),
            refused_share=float(shares[-1]) if arrivals_per_s > 0 else 0.0,
        )

    @cached_property
    def most_per_s(self) -> float:
        """The largest throughput."""
        return float(self.rate_per_s.max())

    def safe(self, sla_ms: float) -> Safe | None:
        """The largest rate with p95 <= 0.8 * `sla_ms` and next to none refused, by halving; None when there is none."""

        def keeps(rate: float) -> bool:
            steady = self.steady(rate, ROOM * sla_ms)
            return steady.late_share <= LATE_MOST and steady.refused_share <= REFUSED_MOST

        low, high = 0.0, self.most_per_s
        if not keeps(high * 1e-6):
            return None
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if keeps(middle) else (low, middle)
        steady = self.steady(low, sla_ms)
        return Safe(arrivals_per_s=low, in_flight=steady.in_flight, cpu_cores=low * self.cpu_s)
