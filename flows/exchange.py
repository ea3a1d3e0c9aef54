"""The DVC remote as the one thing that checkouts share: give what a stage gave, take what another checkout gave."""

from __future__ import annotations

from typing import Any

from flows.checkout import LOCK
from flows.freshness import hush, words
from tasks.core.errors import StillroomError


class RemoteError(StillroomError):
    """There is no DVC remote, or it does not answer."""


def opened() -> Any:
    """This checkout's DVC repository, with a run cache that copies only what the other side lacks."""
    from dvc.fs import generic
    from dvc.repo import Repo
    from dvc.stage.cache import StageCache

    class Runs(StageCache):  # type: ignore[misc]
        """DVC copies every entry at every push and pull; entries never change, so those that are there are left out."""

        def transfer(self, from_odb: Any, to_odb: Any, force: bool = True) -> list[tuple[str, str]]:
            there = set(_runs(to_odb))
            missing = [entry for entry in _runs(from_odb) if entry not in there]
            for entry in missing:
                source, target = (odb.fs.join(odb.path, "runs", *entry) for odb in (from_odb, to_odb))
                generic.copy(from_odb.fs, source, to_odb.fs, target)
            return [(key, value) for _, key, value in missing]

    hush()
    repo = Repo(_wait_for_lock=True)
    repo.stage_cache = Runs(repo)
    return repo


def _runs(odb: Any) -> list[tuple[str, str, str]]:
    """The entries of a run cache, each as its folder, key and value."""
    root = odb.fs.join(odb.path, "runs")
    found = odb.fs.find(root) if odb.fs.exists(root) else []
    parts = [odb.fs.parts(odb.fs.relpath(path, root)) for path in found]
    return [(part[0], part[1], part[2]) for part in parts if len(part) == 3]


def give_all() -> None:
    """Push what dvc.lock and the .dvc files name and the remote lacks.

    Raises:
        RemoteError: no remote is configured, or it refuses.
    """
    from dvc.exceptions import DvcException

    repo = opened()
    if not repo.config["core"].get("remote"):
        raise RemoteError(
            "DVC has no default remote, and results travel through it: `dvc remote add -d NAME URL`, "
            "and commit .dvc/config"
        )
    try:
        repo.push()
    except (DvcException, OSError) as e:
        raise RemoteError(f"DVC's remote {repo.config['core']['remote']!r} does not take what is here: {e}") from e


def look(stage: str) -> tuple[bool, str]:
    """Whether DVC has nothing to do for a stage here, and what dvc.lock says; no other thread writes it meanwhile."""
    from dvc.repo import lock_repo

    repo = opened()
    with lock_repo(repo):
        current = not repo.stage.collect(stage)[0].changed()
        return current, LOCK.read_text(encoding="utf-8") if LOCK.exists() else ""


def take(stage: str, entry: dict[str, Any]) -> list[str]:
    """Write a stage's entry into dvc.lock and fetch what it names: as if the stage had run here.

    What is not as it would be then comes back in words: inputs that were others there. Empty when all is well.
    """
    from dvc.repo import lock_repo
    from dvc.stage.loader import StageLoader

    repo = opened()
    with lock_repo(repo):
        found = repo.stage.collect(stage)[0]
        StageLoader.fill_from_lock(found, entry)
        found.dump(update_pipeline=False)
        repo.pull(targets=[stage])
        repo.stage_cache.save(found)
        told: dict[str, Any] = repo.stage.collect(stage)[0].status()
    return list(words(told.get(stage, [])))


def fetch_needs(repo: Any, stage: str) -> None:
    """Fetch and lay out what all stages before this one gave, as dvc.lock names it."""
    found = repo.stage.collect(stage, with_deps=True)
    needs = [need.addressing for need in found if need.addressing != stage]
    if needs:
        repo.pull(targets=needs)
