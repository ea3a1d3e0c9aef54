"""What `stillroom capacity` prints."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tasks.capacity.day import Day
from tasks.capacity.levels import CAPACITY, Capacity
from tasks.capacity.sizing import memory_mb


def capacity(console: Console, found: Capacity) -> None:
    """The levels, the knee, what is safe, and what a reader must know before trusting them."""
    columns = (
        "concurrency",
        "requests/s",
        "mean ms",
        "p50",
        "p95",
        "p99",
        "in flight",
        "cores",
        "ms CPU/request",
        "MB",
    )
    table = _table(columns)
    for level in found.levels:
        at_knee = found.knee is not None and level.concurrency == found.knee.concurrency
        times = (f"{ms:.2f}" for ms in (level.mean_ms, level.p50_ms, level.p95_ms, level.p99_ms))
        rest = (f"{level.in_flight:.2f}", f"{level.cpu_cores:.2f}", f"{level.cpu_ms_per_request:.2f}")
        table.add_row(
            str(level.concurrency),
            f"{level.requests_per_s:,.0f}",
            *times,
            *rest,
            f"{memory_mb(level):.0f}",
            style="bold green" if at_knee else None,
        )
    console.print(table)
    if found.knee is None:
        console.print(f"no concurrency keeps p95 under 80 % of {found.sla_ms:g} ms", style="red")
    else:
        console.print(f"knee:  {found.knee.concurrency} at once: {found.knee.sentence}", highlight=False)
    if found.safe is not None:
        safe = f"{found.safe.arrivals_per_s:,.0f} requests a second at random, {found.safe.in_flight:.1f} in flight"
        console.print(f"safe:  {safe} on average, with p95 under 80 % of {found.sla_ms:g} ms", highlight=False)
    console.print(f"start: {found.cold_start_s:.1f} s to be ready", highlight=False)
    for told in (*found.warnings, *found.noise.disturbances):
        console.print(f"warning: {told}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    console.print(f"written: {CAPACITY}", highlight=False)


def days(console: Console, found: Sequence[Day], currency: str, as_json: bool) -> None:
    """A day's policies side by side."""
    if as_json:
        print(json.dumps([day.model_dump() for day in found], indent=2))
        return
    columns = ("policy", "replica hours", currency, "late", "refused", "bad minutes", "replicas", "changes")
    table = _table(columns)
    for day in found:
        table.add_row(*cells(day))
    console.print(table)


def cells(day: Day) -> tuple[str, ...]:
    """One policy as text."""
    least, most = day.replicas_least, day.replicas_most
    return (
        day.policy,
        f"{day.replica_hours:.1f}",
        f"{day.cost:.2f}",
        f"{day.late_share:.3%}",
        f"{day.refused_share:.3%}",
        str(day.bad_minutes),
        str(least) if least == most else f"{least} to {most}",
        str(day.changes),
    )


def _table(columns: Sequence[str]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right", no_wrap=place > 0)
    return table
