"""The secrets of a rollout: from the environment, or made once and kept where only their owner reads them."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from tasks.core.errors import StillroomError

FOLDER = Path(".stillroom") / "secrets"
ADMIN, FOLLOWER, TICKETS = "STILLROOM_ADMIN_TOKEN", "STILLROOM_FOLLOWER_TOKEN", "STILLROOM_TICKET_KEY"
ALL = (ADMIN, FOLLOWER, TICKETS)


def place(name: str) -> Path:
    """The file of a secret."""
    return FOLDER / name.removeprefix("STILLROOM_").lower()


def known(name: str) -> str:
    """A secret as the environment or its file says; empty when neither does. StillroomError when others may read it."""
    if given := os.environ.get(name, ""):
        return given
    path = place(name)
    if not path.exists():
        return ""
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise StillroomError(
            f"{path}: has mode {mode:o}, so others may have read it; allowed: 600; remove it, and the next"
            " `stillroom serve` makes another"
        )
    return path.read_text(encoding="ascii").strip()


def made(name: str) -> str:
    """A secret that is known, or a new one of 256 bits, with its file of mode 0600, whole or not at all."""
    if found := known(name):
        return found
    FOLDER.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = place(name)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as out:
        out.write(secrets.token_urlsafe(32) + "\n")
    with suppress(FileExistsError):  # a server that starts beside this one was faster
        os.link(scratch, path)
    scratch.unlink()
    return known(name)
