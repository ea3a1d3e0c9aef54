"""The `stillroom` command. Everything heavy is imported by the command that needs it, so that `--help` answers at once."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from flows.environment import quiet
from tasks.core import artifact
from tasks.core.errors import StillroomError
from tasks.core.results import Summary
from tasks.plan import Settings, load

app = typer.Typer(
    help="Compress a network, prove it with numbers that stand up, and put the winner into production.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
out = Console()
err = Console(stderr=True)
Workers = Annotated[int, typer.Option(min=1, help="Rows to build side by side.")]


def fail(error: StillroomError) -> NoReturn:
    """Print an error meant for people and end with its status."""
    err.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(error.exit_status)


def settings() -> Settings:
    """The checked files under params/, or the end of the command with every mistake in them."""
    try:
        return load()
    except StillroomError as e:
        fail(e)


def step(name: str) -> None:
    """Run a step that is no stage, in a process of its own, and end with its status when it fails."""
    status = subprocess.run([sys.executable, "-m", "tasks", name], check=False).returncode
    if status:
        raise typer.Exit(status)


@app.callback()
def prepare_environment() -> None:
    """Keep every library quiet and local."""
    os.environ.update(quiet())


@app.command()
def plan(
    check: Annotated[bool, typer.Option("--check", help="Only check the files under params/.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the state of each stage as JSON.")] = False,
) -> None:
    """Show the tree of variants and what a run would compute; nothing is run."""
    found = settings()
    if check:
        out.print(f"params/: {len(found.plan.variants)} variants, no mistakes")
        return
    from flows.freshness import reasons
    from flows.stages import stages

    why = reasons(found.plan)
    if as_json:
        print(json.dumps({s.name: why.get(s.name, "current") for s in stages(found.plan)}, indent=2))
        return
    from flows.show import plan_tree

    out.print(plan_tree(found.plan, why))
    out.print(f"{len(why)} of {len(stages(found.plan))} stages would run" if why else "everything is current")


@app.command()
def run(workers: Workers = 2, force: Annotated[bool, typer.Option(help="Compute everything again.")] = False) -> None:
    """Bring every row of the plan up to date, compare them, choose, package, and log the run to MLflow."""
    found = settings()
    out.print("starting Prefect ...", style="dim")
    from flows import compress, show

    try:
        with show.follow(out, found.plan, compress.BOARD):
            compress.run(workers, force)
    except compress.RunFailedError as e:
        err.print(str(e), style="red", markup=False, highlight=False, soft_wrap=True)
        err.print(f"stopped: {show.counts(compress.BOARD)}; whole logs: .stillroom/logs/", soft_wrap=True)
        raise typer.Exit(1) from None
    states = {e.state for name, e in compress.BOARD.entries().items() if name != "track"}
    out.print(f"done: {show.counts(compress.BOARD)}")
    if states == {"reused"}:
        out.print("nothing had to be computed: every stage is current", style="bold")
    report()
    out.print("next:  stillroom promote    stillroom serve    stillroom ui", style="bold")


@app.command()
def report(as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False) -> None:
    """Print the table of the last run and where its page is."""
    try:
        summary = artifact.read_json(artifact.SUMMARY, Summary)
    except StillroomError as e:
        fail(e)
    if as_json:
        print(summary.model_dump_json(indent=2))
        return
    from flows.show import table

    out.print(table(summary))
    out.print(f"page:  {artifact.PAGE}", highlight=False)


@app.command()
def promote() -> None:
    """Check the gates of params/promotion.yaml and make the challenger the champion, or say which gate failed."""
    settings()
    step("promote")


@app.command()
def rollback() -> None:
    """Make the champion before this one the champion again."""
    settings()
    step("rollback")


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 3000,
    candidate: Annotated[bool, typer.Option("--candidate", help="Serve results/package, promoted or not.")] = False,
) -> None:
    """Serve the champion beside the full model on 127.0.0.1."""
    from flows.serve import serve as start

    settings()
    try:
        raise typer.Exit(start(port=port, candidate=candidate))
    except StillroomError as e:
        fail(e)


@app.command()
def schedule() -> None:
    """Register the nightly retrain-and-compress deployment of params/schedule.yaml with Prefect."""
    from flows.schedule import register

    try:
        register(settings())
    except StillroomError as e:
        fail(e)


@app.command()
def ui(
    mlflow_port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
    prefect_port: Annotated[int, typer.Option(min=1, max=65535)] = 4200,
) -> None:
    """Start the MLflow and Prefect pages on 127.0.0.1 and print their addresses; Ctrl-C stops both."""
    from flows.ui import serve as start

    try:
        start(mlflow_port=mlflow_port, prefect_port=prefect_port)
    except StillroomError as e:
        fail(e)


@app.command()
def doctor() -> None:
    """Check this machine and checkout, and say what to do about each finding."""
    from flows.doctor import show

    raise typer.Exit(show())


def main() -> None:
    """Entry point of the `stillroom` command; works from the root of a checkout only."""
    root = next((p for p in (Path.cwd(), *Path.cwd().parents) if (p / "dvc.yaml").exists()), None)
    if root is not None:
        os.chdir(root)
    app()


if __name__ == "__main__":
    main()
