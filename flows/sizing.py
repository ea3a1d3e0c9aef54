"""The command `capacity`: measures one replica, or plays a day on what was measured."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from flows.present import err, for_people, out
from flows.read import Json
from tasks.plan import load

commands = typer.Typer()
ROUNDS = 3


@commands.command()
def capacity(
    candidate: Annotated[bool, typer.Option("--candidate", help="Measure results/package, promoted or not.")] = False,
    sla_ms: Annotated[float | None, typer.Option(min=0.1, help="p95 to keep; left out: judge.p95_ms.")] = None,
    seconds: Annotated[float, typer.Option(min=0.3, help="At each concurrency, over three rounds.")] = 6.0,
    who: Annotated[str, typer.Option(help="Who answers: split, control or treatment.")] = "split",
    day: Annotated[Path | None, typer.Option(help="A CSV file of time,requests_per_s: play that day instead.")] = None,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Measure how much one replica takes, and write results/capacity.json and results/autoscale/."""
    from flows import show_capacity

    with for_people():
        settings = load()
        if day is not None:
            from flows.capacity import play

            days = play(settings, day)
            show_capacity.days(out, days, settings.plan.choose.worth.currency, as_json)
            return
        from flows.capacity import asked, autoscale, measure

        wanted = asked(candidate, sla_ms or settings.rollout.judge.p95_ms, seconds, ROUNDS, who)
        with Progress(TextColumn("sweep"), BarColumn(), TimeRemainingColumn(), console=err, transient=True) as bar:
            turn = bar.add_task("", total=None)
            found = measure(settings, wanted, lambda done, of: bar.update(turn, completed=done, total=of))
        if as_json:
            print(found.model_dump_json(indent=2))
        else:
            show_capacity.capacity(out, found)
        sys.stdout.flush()
        autoscale()
