"""The commands `promote` and `rollback`, which move the alias `champion`: steps that are no stages."""

from __future__ import annotations

import subprocess
import sys

import typer

from flows.present import for_people
from tasks.plan import load

commands = typer.Typer()


def step(name: str) -> None:
    """Run a step that is no stage, in a process of its own, and end with its status when it fails."""
    with for_people():
        load()
    status = subprocess.run([sys.executable, "-m", "tasks", name], check=False).returncode
    if status:
        raise typer.Exit(status)


@commands.command()
def promote() -> None:
    """Check the gates of params/promotion.yaml and make the challenger the champion, or say which gate failed."""
    step("promote")


@commands.command()
def rollback() -> None:
    """Make the champion before this one the champion again."""
    step("rollback")
