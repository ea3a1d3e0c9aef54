"""The `stillroom` command. What is heavy is imported by the command that needs it, so that `--help` answers at once."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows import champion, rollout, runners, sizing, status
from flows.environment import quiet
from flows.present import err, for_people, rehearse, run_plan
from flows.read import Json, commands
from tasks.plan import load

app = typer.Typer(
    help="Compress a network, prove it with numbers that stand up, and put the winner into production.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Address = typer.Option(help="Of the Dask scheduler or Ray cluster; or the Prefect work pool's name.")
Port = typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")
app.add_typer(commands)
app.add_typer(champion.commands)
app.add_typer(sizing.commands)
app.add_typer(status.commands)
app.add_typer(rollout.commands, name="rollout")


@app.callback()
def keep_quiet() -> None:
    """Keep every library quiet and local."""
    os.environ.update(quiet())


@app.command()
def use(
    name: Annotated[str | None, typer.Argument(help="An example; leave it out to see them all.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are not committed.")] = False,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Put an example plan over params/."""
    from flows import examples

    with for_people():
        print(examples.told(name, force=force, as_json=as_json))


@app.command()
def run(
    workers: Annotated[int, typer.Option(min=1, help="Steps side by side.")] = 2,
    force: Annotated[bool, typer.Option("--force", help="Compute everything again.")] = False,
    runner: Annotated[str, typer.Option(help="Where: local; or by workers, through dask, ray or pool.")] = "local",
    address: Annotated[str, Address] = "",
    preflight: Annotated[
        bool | None,
        typer.Option(
            "--preflight/--no-preflight",
            help="Rehearse on a handful of rows, estimate, and stop; left out: rehearse before a long run, then go on.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="With --preflight: print the estimate as JSON.")] = False,
) -> None:
    """Bring every row of the plan up to date, compare them, choose, package, and log the run to MLflow."""
    if as_json and not preflight:
        raise typer.BadParameter("--json goes with --preflight; after a run, `stillroom report --json`")
    with for_people():
        runners.check(runner, address)
        found = load().plan
        if preflight is not False:
            rehearse(found, workers, asked=bool(preflight), force=force, as_json=as_json)
        if not preflight:
            run_plan(found, workers, force, runner, address)


@app.command()
def worker(
    runner: Annotated[str, typer.Option(help="Who hands out the work: dask, ray or pool.")],
    address: Annotated[str, Address],
) -> None:
    """Build stages in this checkout for a driver elsewhere; `stillroom run` with the same options is the driver."""
    from flows.worker import work

    with for_people():
        work(runner, address)


@app.command()
def serve(
    port: Annotated[int, Port] = 3000,
    admin_port: Annotated[int, Port] = 3001,
    candidate: Annotated[bool, typer.Option("--candidate", help="Serve results/package, promoted or not.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; left out: params/rollout.yaml's.")] = None,
) -> None:
    """Serve the champion beside the full model on 127.0.0.1, keep its rollout, and follow the registry."""
    from flows.serve import serve as start

    with for_people():
        start(port=port, admin_port=admin_port, candidate=candidate, workers=workers)


@app.command()
def schedule() -> None:
    """Register the nightly retrain-and-compress deployment of params/schedule.yaml with Prefect."""
    from flows.schedule import register

    with for_people():
        register(load())


@app.command()
def ui(mlflow_port: Annotated[int, Port] = 5000, prefect_port: Annotated[int, Port] = 4200) -> None:
    """Start the MLflow and Prefect pages on 127.0.0.1 and print their addresses."""
    from flows.ui import serve as start

    with for_people():
        start(mlflow_port=mlflow_port, prefect_port=prefect_port)


def main() -> None:
    """Entry point of the `stillroom` command, from anywhere inside a checkout."""
    root = next((p for p in (Path.cwd(), *Path.cwd().parents) if (p / "dvc.yaml").exists()), None)
    if root is None:
        err.print(f"{Path.cwd()}: no dvc.yaml here or above; run stillroom inside a checkout", style="red")
        sys.exit(1)
    os.chdir(root)
    app()


if __name__ == "__main__":
    main()
