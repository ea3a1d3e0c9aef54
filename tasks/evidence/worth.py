"""What a variant saves: money, energy and carbon a request, and how many requests pay for the compression itself.

Pure numbers; what is assumed (prices, watts, carbon of the grid) is an argument. The carbon of a joule is that of the
grid where it is used, not of making the machine.
"""

from __future__ import annotations

from typing import NamedTuple

JOULES_PER_KWH = 3.6e6
MILLION = 1e6


class Cost(NamedTuple):
    """Of one request; `currency` is the caller's."""

    price: float
    joules: float
    grams_co2: float


class BreakEven(NamedTuple):
    """Requests after which the compression is paid for, in energy and so in carbon; None: it never is."""

    requests: float | None
    sentence: str


def price_per_request(rows_per_s: float, threads: int, *, price_per_hour: float, cores: int, busy: float) -> float:
    """The price of one row on a machine of `cores` cores that is busy for the share `busy` of the hours it is paid for.

    Every `threads` cores are taken to answer as fast as those that were measured. ValueError for a rate of zero.
    """
    if rows_per_s <= 0:
        raise ValueError(f"{rows_per_s} rows a second have no price")
    rows_per_hour = 3600 * rows_per_s * cores / threads
    return price_per_hour / (rows_per_hour * busy)


def joules_of(core_seconds: float, watts_per_core: float) -> float:
    """The estimate of energy from processor time: what `core_seconds` take at so many watts a busy core."""
    return core_seconds * watts_per_core


def grams_of(joules: float, grams_co2_per_kwh: float) -> float:
    """Grams of CO2 equivalent of so much electricity."""
    return joules / JOULES_PER_KWH * grams_co2_per_kwh


def request(
    rows_per_s: float,
    threads: int,
    measured_joules: float | None,
    *,
    price_per_hour: float,
    cores: int,
    busy: float,
    watts_per_core: float,
    grams_co2_per_kwh: float,
) -> Cost:
    """One row: at its price, with its energy as measured, else as estimated from `threads` cores that it kept busy."""
    price = price_per_request(rows_per_s, threads, price_per_hour=price_per_hour, cores=cores, busy=busy)
    joules = joules_of(threads / rows_per_s, watts_per_core) if measured_joules is None else measured_joules
    return Cost(price, joules, grams_of(joules, grams_co2_per_kwh))


def break_even(spent: float, before: float, after: float) -> BreakEven:
    """When `spent` at once is won back, at `before` - `after` a request; all three in one unit, such as joules."""
    saved = before - after
    if spent <= 0:
        return BreakEven(0.0, "nothing was spent, so nothing has to be won back")
    if saved <= 0:
        return BreakEven(None, "a request costs no less than before: what was spent is never won back")
    return BreakEven(spent / saved, f"won back after {spent / saved:,.0f} requests")
