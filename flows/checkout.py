"""Whether a checkout is at a commit and nothing but it: what stands between two machines building different things."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from tasks.core.errors import StillroomError

LOCK = Path("dvc.lock")  # what a run writes; it is sent along, so it may differ
SHOWN = 5


class CheckoutError(StillroomError):
    """A checkout is not at the commit that is asked for, or holds changes that no commit has."""


def here() -> str:
    """This checkout's name among others: host and folder."""
    return f"{socket.gethostname()}:{Path.cwd()}"


def revision() -> str:
    """The commit that this checkout is at.

    Raises:
        CheckoutError: there is none, or files differ from it that it does not ignore.
    """
    commit, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain")
    if commit is None or changes is None:
        raise CheckoutError(f"{here()}: no git commit here; workers and driver must be checkouts of one commit")
    changed = [line for line in changes.splitlines() if line[3:] != str(LOCK)]
    if changed:
        names = ", ".join(line[3:] for line in changed[:SHOWN])
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        raise CheckoutError(
            f"{here()}: not what commit {commit[:12]} says: {names}{more}. "
            "Workers build what is committed: commit these files, or remove them"
        )
    return commit.strip()


def demand(wanted: str) -> None:
    """CheckoutError unless this checkout is at commit `wanted`, and nothing but it."""
    found = revision()
    if found != wanted:
        raise CheckoutError(
            f"{here()}: at commit {found[:12]}, and {wanted[:12]} is asked for. "
            f"There: git fetch && git checkout --detach {wanted[:12]}"
        )


def _git(*arguments: str) -> str | None:
    """What git prints, or None when there is no git, no checkout or no commit."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
