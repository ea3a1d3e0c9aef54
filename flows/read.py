"""The commands that only look: each prints for people, or with `--json` one JSON value alone on stdout."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from flows.present import for_people, out, show_plan, show_report
from tasks.plan import load

commands = typer.Typer()
Json = typer.Option("--json", help="Print JSON.")


@commands.command()
def plan(
    check: Annotated[bool, typer.Option("--check", help="Only check the files under params/.")] = False,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Show the tree of variants and what a run would compute; nothing is run."""
    with for_people():
        found = load().plan
    if check:
        told = f"params/: {len(found.variants)} variants, no mistakes"
        print(json.dumps({"variants": list(found.variants), "mistakes": []}, indent=2) if as_json else told)
        return
    with for_people():
        show_plan(found, as_json)


@commands.command()
def report(as_json: Annotated[bool, Json] = False) -> None:
    """Print the table of the last run, what each step to the chosen variant did, and where the page is."""
    with for_people():
        show_report(as_json)


@commands.command()
def explain(
    variant: Annotated[str, typer.Argument(help="A row of the plan.")], as_json: Annotated[bool, Json] = False
) -> None:
    """Say how a variant came to be: its chain, what each row found and left alone, what each step did and cost."""
    from flows import explain as explaining

    with for_people():
        found = explaining.explain(load().plan, variant)
        if as_json:
            print(found.model_dump_json(indent=2))
            return
        from flows.show_steps import show

        show(out, found)


@commands.command()
def compare(
    a: Annotated[str, typer.Argument(help="A variant, or a git revision.")],
    b: Annotated[str, typer.Argument(help="Another one of the same kind.")],
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Compare two variants of this checkout, or every variant of two git revisions, with intervals."""
    from flows import compare as comparing

    with for_people():
        found = comparing.compare(a, b)
        if as_json:
            print(found.model_dump_json(indent=2))
            return
        comparing.show(out, found)


@commands.command()
def worth(as_json: Annotated[bool, Json] = False) -> None:
    """Say what a request costs with every variant, in money, energy and carbon, and when the run is won back."""
    from flows import worth as telling

    with for_people():
        found = telling.worth(load().plan)
        if as_json:
            print(found.model_dump_json(indent=2))
            return
        telling.show(out, found)


@commands.command()
def doctor(as_json: Annotated[bool, Json] = False) -> None:
    """Check this machine and checkout, and say what to do about each finding."""
    from flows.doctor import show

    raise typer.Exit(show(as_json))
