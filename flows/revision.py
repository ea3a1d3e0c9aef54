"""Results as they were at a git revision: dvc.lock of that commit says which, DVC's cache (or remote) has them."""

from __future__ import annotations

import subprocess

from flows.measured import Read
from tasks.core.errors import ArtifactError


def commit_of(name: str) -> str | None:
    """The commit that a branch, tag or hash names; None when it names none, or this is no git repository."""
    command = ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git on this machine
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def names() -> list[str]:
    """The branches and tags there are."""
    command = ["git", "for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    except FileNotFoundError:
        return []


def reader(name: str, commit: str) -> Read:
    """Reads files as they were at `commit`, which the user calls `name`, through DVC."""
    locked = subprocess.run(["git", "cat-file", "-e", f"{commit}:dvc.lock"], capture_output=True, check=False)
    if locked.returncode:
        raise ArtifactError(f"{name}: no dvc.lock in that commit, so its results were not recorded; commit dvc.lock")
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    from flows.freshness import hush

    hush()
    files = DVCFileSystem(url=".", rev=commit)  # opened once: it takes longer than all the reading

    def read(path: str) -> bytes:
        try:
            raw: bytes = files.read_bytes(path)
        except FileNotFoundError:
            raise ArtifactError(f"{path} at {name}: not in DVC's cache, nor on its remote{_ADVICE}") from None
        except DvcException as e:
            raise ArtifactError(f"{path} at {name}: {e}{_ADVICE}") from e
        return raw

    return read


_ADVICE = "; `dvc fetch --all-commits` gets what a remote has, else check that revision out and `stillroom run`"
