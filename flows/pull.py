"""The newest raw data, before a nightly run: what the DVC pointers under data/ track, fetched or imported anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.core.errors import StillroomError

if TYPE_CHECKING:
    from dvc.repo import Repo

DATA = Path("data")


class PullError(StillroomError):
    """The data could not be fetched; the message names the pointer or remote, and what DVC said."""


def pull(folder: Path = DATA) -> str:
    """Bring in what the pointers under `folder` stand for, and say what was done.

    An import (`dvc import`, `dvc import-url`) is updated to its source's newest state, whose hash its pointer then
    names; what was added by hand is fetched from the default remote if it is not here already.

    Raises:
        PullError: a source or remote does not answer, or lacks the data.
    """
    pointers = sorted(str(path) for path in folder.glob("**/*.dvc") if path.is_file())
    if not pointers:
        return f"nothing to pull: no pointer of DVC under {folder}/"
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    with Repo() as repo:
        imported = [path for path in pointers if _is_import(repo, path)]
        added = [path for path in pointers if path not in imported]
        try:
            if imported:
                repo.update(targets=imported)
            if lost := [path for path in added if not _is_here(repo, path)]:
                repo.pull(targets=lost)
        except (DvcException, OSError) as e:
            raise PullError(f"{folder}/: {e}{f': {e.__cause__}' if e.__cause__ else ''}") from e
    return f"updated {len(imported)} imports, fetched {len(lost)} of {len(added)} other pointers"


def _is_import(repo: Repo, pointer: str) -> bool:
    (stage,) = repo.stage.load_file(pointer)
    return bool(stage.is_import)


def _is_here(repo: Repo, pointer: str) -> bool:
    (stage,) = repo.stage.load_file(pointer)
    return not any(out.changed() for out in stage.outs)
