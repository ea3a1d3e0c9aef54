"""`stillroom rollout`: changes the live rollout by hand, through the keeper."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated, Any

import typer

from flows import tokens
from flows.keeper import reached
from flows.present import err, for_people
from flows.read import Json
from tasks.core import artifact
from tasks.core.errors import KeeperError, StillroomError
from tasks.live.keeper import Keeper, LateError
from tasks.live.shapes import Row

commands = typer.Typer(help="Change the live rollout by hand.", no_args_is_help=True)
Reason = Annotated[str, typer.Option(help="Why, for the audit log.")]
AsJson = Annotated[bool, Json]


@commands.command()
def share(
    share: Annotated[float, typer.Argument(min=0, max=1, help="Of users, who get the treatment.")],
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Give the treatment this share by hand; it stays until somebody changes it, or the keeper takes it back."""
    told("share", as_json, share=share, reason=reason)


@commands.command()
def hold(reason: Reason = "", as_json: AsJson = False) -> None:
    """Let the rollout go no further by itself."""
    told("hold", as_json, reason=reason)


@commands.command()
def resume(reason: Reason = "", as_json: AsJson = False) -> None:
    """Let it go on where it was held."""
    told("resume", as_json, reason=reason)


@commands.command()
def rollback(reason: Reason = "", as_json: AsJson = False) -> None:
    """Give everybody the control at once; MLflow's champion goes back to the version before, which is offered next."""
    told("rollback", as_json, reason=reason)


@commands.command()
def offer(
    folder: Annotated[Path, typer.Argument(help="A package that all workers see.")] = artifact.PACKAGE,
    version: Annotated[str, typer.Option(help="What to call it.")] = "candidate",
    share: Annotated[float | None, typer.Option(min=0, max=1, help="Left out: the first of its stages.")] = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Serve another package from its first stage on, after every SHA-256 in it was checked."""
    wanted = {} if share is None else {"share": share}
    told("package", as_json, package=str(folder.resolve()), version=version, reason=reason, **wanted)


def told(verb: str, as_json: bool, **asked: Any) -> None:
    """Change the row and print the new one."""
    with for_people():
        row = changed(reached(), verb, **asked)
        line = f"generation {row.generation}: {row.mode}, share {row.share:g}, version {row.version}"
        print(row.model_dump_json(indent=2) if as_json else line)


def changed(keeper: Keeper, verb: str, **asked: Any) -> Row:
    """The row after a change. When somebody else was faster, it is asked once more, where that is still what was meant.

    Raises:
        KeeperError: The keeper is away or refuses, or what was asked no longer fits the row.
        StillroomError: There is no token.
    """
    if not tokens.known(tokens.ADMIN):
        raise StillroomError(f"no token: set {tokens.ADMIN}, or run this where {tokens.place(tokens.ADMIN)} is")
    row, asked = keeper.row(), {"by": user(), **asked}
    try:
        return keeper.change(verb, row.generation if row else 0, **asked)
    except LateError as e:
        if verb not in ("rollback", "hold") and not _alike(row, e.row):
            raise KeeperError(f"{e}; not asked again, since its package or its mode is another one", 409) from None
        err.print(f"{e}; asking again", style="yellow", markup=False, highlight=False, soft_wrap=True)
        return keeper.change(verb, e.row.generation if e.row else 0, **asked)


def _alike(a: Row | None, b: Row | None) -> bool:
    """Whether a change that was meant for one may be made to the other: a rollback in between must stay one."""
    return a is not None and b is not None and (a.package, a.mode) == (b.package, b.mode)


def user() -> str:
    """Who asks, in the printable ASCII that the audit log takes."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        name = ""
    return name.encode("ascii", "ignore").decode()[:80] or "admin"
