"""What `plan`, `run` and `report` do at the terminal; flows/cli.py only declares them."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console

from flows.stages import stages
from tasks.core import artifact
from tasks.core.errors import StillroomError
from tasks.core.recipe import warnings_of
from tasks.core.results import Summary
from tasks.evidence.waterfall import waterfall
from tasks.plan import Plan

out = Console(width=None if sys.stdout.isatty() else 120)
err = Console(stderr=True)


@contextmanager
def for_people() -> Iterator[None]:
    """Print an error that a person can mend as its message alone, and end with its status."""
    try:
        yield
    except StillroomError as e:
        err.print(str(e), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(e.exit_status) from None


def show_plan(plan: Plan, as_json: bool) -> None:
    """The tree of variants, or the state of each stage as JSON; StillroomError when DVC cannot say."""
    from flows.freshness import reasons
    from flows.show import plan_tree

    why = reasons(plan)
    if as_json:
        print(json.dumps({s.name: why.get(s.name, "current") for s in stages(plan)}, indent=2))
        return
    out.print(plan_tree(plan, why))
    for row in plan.variants.values():
        for text in warnings_of(row.params):
            out.print(f"warning: {row.name}: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    out.print(f"{len(why)} of {len(stages(plan))} stages would run" if why else "everything is current")


def run_plan(plan: Plan, workers: int, force: bool, runner: str = "local", address: str = "") -> None:
    """Run the flow under the eyes of a person and end with its table; StillroomError when a stage fails."""
    home = Path(os.environ["PREFECT_HOME"])
    home.mkdir(parents=True, exist_ok=True)  # Prefect does not make its parent, and stops
    out.print("starting Prefect", style="dim")
    from flows import compress, show
    from flows.board import BOARD
    from flows.sweep import end_orphans
    from flows.tidy import tidy

    end_orphans(str(home))
    if gone := tidy(plan):
        out.print(f"removed what rows that left the plan had left behind: {', '.join(gone)}", style="dim")
    with show.follow(out, plan, BOARD):
        compress.run(workers, force, runner, address)
    out.print(f"done: {show.counts(BOARD)}")
    if {e.state for name, e in BOARD.entries().items() if name != "track"} == {"reused"}:
        out.print("nothing had to be computed: every stage is current", style="bold")
    show_report(as_json=False)
    me = command()
    out.print(f"next:  {me} promote    {me} serve    {me} ui", style="bold", highlight=False)


def rehearse(plan: Plan, workers: int, *, asked: bool, force: bool, as_json: bool) -> None:
    """Rehearse what would run where it is asked for or will take long, and print what the run will take."""
    from flows import foretell, preflight
    from flows.freshness import reasons

    stale = {stage.name for stage in stages(plan)} if force else reasons(plan).keys()
    try:
        with err.status("preflight") as line:
            found = preflight.preflight(plan, stale, asked=asked, tell=lambda step: line.update(f"preflight: {step}"))
    except KeyboardInterrupt as e:
        number = e.args[0] if e.args else signal.SIGINT
        err.print("stopped; nothing of the run was begun", markup=False, highlight=False)
        raise typer.Exit(128 + number) from None
    if asked or found:
        told = foretell.foretold(found, workers, foretell.room())
        print(told.model_dump_json(indent=2) if as_json else foretell.text(told))


def command() -> str:
    """How this command was called, so that a person can copy the next one: by name where PATH finds it."""
    called = Path(sys.argv[0])
    shell_path = os.environ["PATH"].partition(os.pathsep)[2]  # flows.environment has put our own folder in front
    if shutil.which("stillroom", path=shell_path) == str(called):
        return "stillroom"
    return os.path.relpath(called) if called.name == "stillroom" else "stillroom"


def show_report(as_json: bool) -> None:
    """The table of the last run and where its page is; ArtifactError when there was none."""
    summary = artifact.read_json(artifact.SUMMARY, Summary)
    if as_json:
        print(summary.model_dump_json(indent=2))
        return
    from flows.show import table
    from flows.show_steps import waterfall_table

    out.print(table(summary, out.width))
    out.print(summary.headline, style="bold", markup=False, highlight=False, soft_wrap=True)
    for told in summary.cautions:
        out.print(f"to weigh before shipping: {told}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    if len((steps := waterfall(summary, summary.chosen)).steps) > 1:
        out.print(waterfall_table(steps, out.width))
    out.print(f"page:  {artifact.PAGE}", highlight=False)
