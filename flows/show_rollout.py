"""How `stillroom rollout status` looks at the terminal."""

from __future__ import annotations

from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tasks.live.shapes import Event, Row, Worker

FRESH_S = 5.0  # a worker reports every half second; after so long without, it is gone


def show(out: Console, url: str, row: Row | None, workers: tuple[Worker, ...], events: tuple[Event, ...]) -> None:
    """Print the row, its workers and the last events."""
    if row is None:
        out.print(f"{url}: there is no row yet", markup=False, highlight=False)
    else:
        stage = f", stage {row.stage + 1}" if row.stage >= 0 else ""
        out.print(
            f"generation {row.generation}: {row.mode}{stage}, share {row.share:g} to version {row.version}",
            style="bold",
            markup=False,
            highlight=False,
        )
        why = f": {row.reason}" if row.reason else ""
        out.print(f"{row.package}\nsince {_at(row.since_s)}, by {row.by}{why}", markup=False, highlight=False)
    here = [worker for worker in workers if worker.age_s < FRESH_S]
    if here:
        out.print(_workers(here, row))
    else:
        out.print("no worker follows", style="yellow")
    if events:
        out.print(_events(events))


def _workers(workers: list[Worker], row: Row | None) -> Table:
    table = Table("worker", "generation", "MB", "trouble", title="workers", title_justify="left")
    for one in workers:
        style = "" if not one.error and (row is None or one.generation == row.generation) else "yellow"
        cells = (one.worker, f"{one.generation}", f"{one.rss_mb:.0f}", one.error or "none")
        table.add_row(*(escape(cell) for cell in cells), style=style)
    return table


def _events(events: tuple[Event, ...]) -> Table:
    table = Table("at", "what", "generation", "by", "why", title="last events", title_justify="left")
    for one in events:
        cells = (_at(one.at_s), one.kind, f"{one.generation or ''}", one.actor, one.reason)
        table.add_row(*(escape(cell) for cell in cells))
    return table


def _at(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s).astimezone().isoformat(sep=" ", timespec="seconds")
