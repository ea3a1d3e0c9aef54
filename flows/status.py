"""`stillroom status`: the live rollout at the terminal, as on the keeper's page."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.live import Live
from rich.text import Text

from flows.keeper import reached
from flows.present import for_people, out
from flows.read import Json
from tasks.core.errors import KeeperError
from tasks.live.glance import Glance
from tasks.live.keeper import Keeper

commands = typer.Typer()
EVERY_S = 2.0


@commands.command()
def status(
    once: Annotated[bool, typer.Option("--once", help="Print it once; so it is where no terminal is.")] = False,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Show the live rollout: who is served what, how fast, how well, and what the judge makes of it."""
    from flows.show_status import glance

    with for_people():
        keeper = reached()
        found = keeper.glance()
        if as_json:
            print(found.model_dump_json(indent=2))
        elif once or not out.is_terminal:
            out.print(glance(found))
        else:
            follow(keeper, found)


def follow(keeper: Keeper, found: Glance) -> None:
    """Show it until Ctrl-C; a keeper that is away leaves the last figures standing, and a line that says so."""
    from rich.console import Group

    from flows.show_status import glance

    before = found
    with Live(glance(found), console=out, auto_refresh=False, screen=False) as live:
        while True:
            try:
                time.sleep(EVERY_S)
                found = keeper.glance()
                live.update(glance(found, before), refresh=True)
                before = found
            except KeeperError as e:
                live.update(Group(glance(before), Text(f"old: {e}", style="red")), refresh=True)
            except KeyboardInterrupt:
                return
