"""The queue against formulas of textbooks, and against a simulation that knows nothing of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tasks.capacity.levels import QUANTILES
from tasks.capacity.station import Station
from tests.unit.capacity.made import exponential, level

RATE = 100.0


def constant(limit: int) -> Station:
    """M/M/1/K: one server whatever is in flight."""
    return Station.of([exponential(c, RATE) for c in range(1, limit + 1)], limit)


@pytest.mark.parametrize("load", [0.3, 0.8, 1.0, 1.5])
def test_one_server_with_places_for_twelve(load: float) -> None:
    k = 12
    powers = load ** np.arange(k + 1)
    shares = powers / powers.sum()
    steady = constant(k).steady(load * RATE, 1e9)
    assert steady.refused_share == pytest.approx(shares[-1])
    assert steady.in_flight == pytest.approx(shares @ np.arange(k + 1))
    assert steady.answered_per_s == pytest.approx(load * RATE * (1 - shares[-1]))
    assert steady.mean_ms == pytest.approx(1000 * steady.in_flight / steady.answered_per_s), "Little"
    assert steady.spread**2 == pytest.approx(shares @ np.arange(k + 1) ** 2 - steady.in_flight**2)


def test_erlangs_loss_with_as_many_servers_as_places() -> None:
    offered, servers = 3.0, 5
    station = Station.of([level(c, RATE * c) for c in range(1, servers + 1)], servers)
    terms = [offered**n / math.factorial(n) for n in range(servers + 1)]
    assert station.steady(offered * RATE, 1e9).refused_share == pytest.approx(terms[-1] / sum(terms))


def test_the_response_time_of_one_server_is_exponential() -> None:
    """M/M/1: P(response > t) = exp(-(mu - lambda) t)."""
    station, arrivals = constant(64), 60.0
    for limit_ms in (10.0, 25.0, 75.0):
        wanted = math.exp(-(RATE - arrivals) * limit_ms / 1000)
        assert station.steady(arrivals, limit_ms).late_share == pytest.approx(wanted, abs=0.01)


def test_the_safe_rate_of_one_server() -> None:
    """p95 = ln 20 / (mu - lambda) must be 80 ms."""
    safe = constant(64).safe(100.0)
    assert safe is not None
    wanted = RATE - math.log(20) / 0.080
    assert safe.arrivals_per_s == pytest.approx(wanted, rel=0.02)
    assert safe.in_flight == pytest.approx(wanted / (RATE - wanted), rel=0.05)
    assert safe.cpu_cores == pytest.approx(safe.arrivals_per_s / RATE)


def test_no_rate_is_safe_where_even_one_request_alone_is_late() -> None:
    station = Station.of([level(1, RATE, quantiles_ms=(90.0,) * len(QUANTILES))], 8)
    assert station.safe(100.0) is None
    assert station.safe(120.0) is not None


def test_nothing_arrives() -> None:
    steady = constant(4).steady(0.0, 1.0)
    assert (steady.in_flight, steady.spread, steady.answered_per_s, steady.mean_ms) == (0, 0, 0, 0)
    assert steady.refused_share == 0


def test_between_and_beyond_the_levels() -> None:
    station = Station.of([level(4, 40.0), level(1, 10.0)], 8)  # latencies of exactly 100 ms
    assert station.rate_per_s.tolist() == [10, 20, 30, 40, 40, 40, 40, 40]
    assert station.latency_ms[:4].ravel().tolist() == [100.0] * 4 * len(QUANTILES)
    assert station.latency_ms[7].tolist() == [200.0] * len(QUANTILES), "twice as many in flight, none faster"
    assert station.max_concurrency == 8


def test_levels_that_failed_are_left_out() -> None:
    station = Station.of([level(1, 10.0), level(2, 99.0, failed={"status 500": 50})], 2)
    assert station.rate_per_s.tolist() == [10, 10]
    with pytest.raises(ValueError, match="no level without failures"):
        Station.of([level(1, failed={"status 500": 50})], 2)


def test_a_simulated_replica_agrees() -> None:
    """Two servers, one queue, seven places: events one by one, no formula."""
    rates = [50.0] + [100.0] * 6
    station = Station.of([level(c, rate) for c, rate in enumerate(rates, 1)], 7)
    rng, n, at, refused, arrived, area = np.random.default_rng(3), 0, 0.0, 0, 0, 0.0
    for _ in range(200_000):
        leaving = rates[n - 1] if n else 0.0
        step = rng.exponential(1 / (90.0 + leaving))
        at, area = at + step, area + n * step
        if rng.random() < 90.0 / (90.0 + leaving):
            arrived += 1
            refused += n == 7
            n = min(7, n + 1)
        else:
            n -= 1
    steady = station.steady(90.0, 1e9)
    assert steady.in_flight == pytest.approx(area / at, rel=0.03)
    assert steady.refused_share == pytest.approx(refused / arrived, rel=0.06)
