"""Fetched packages on this disk: those that may be wanted again stay, the rest goes.

STILLROOM_FETCHED names their folder, in which each package has one of its own; where it is not set, nothing is removed.
Which packages rows were about is kept there too, one file a store, so that the one to go back to is known after any
restart, and to keepers of other rollouts of the same checkout. Nothing goes before two are known.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from pydantic import ValidationError

from serving import last_good
from serving.control.state import Presence, State
from serving.shapes import Frozen

log = logging.getLogger("stillroom.keeper")
FOLDER = "STILLROOM_FETCHED"
KEPT = 4  # packages of each store: the present one, the one before, and two more
FRESH_S = 3600.0  # what was fetched or read since may be about to be offered
SEEN_S = 120.0  # a worker that was not seen for so long has gone


class Named(Frozen):
    """A package that a row was about."""

    package: str
    sha256: str


class Known(Frozen):
    """Of one store, the latest first, each once."""

    named: tuple[Named, ...] = ()


class Shelf:
    """The folder, as the keeper of one store sees it."""

    def __init__(self, folder: Path, store: str) -> None:
        self._folder = folder
        self._file = folder / f".rows-{sha256(store.encode()).hexdigest()[:12]}.json"
        self._known = _read(self._file)

    def note(self, row: State) -> None:
        """Remember what the row is about."""
        now = Named(package=row.package, sha256=row.package_sha256)
        if self._known.named[:1] == (now,):
            return
        others = (one for one in self._known.named if one.package != now.package)
        self._known = Known(named=(now, *others)[:KEPT])
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            scratch = self._file.with_suffix(".new")
            scratch.write_text(self._known.model_dump_json(), encoding="utf-8")
            scratch.replace(self._file)
        except OSError as e:
            log.warning("%s: cannot be written (%s); no package is removed", self._file, e)

    def tidy(self, workers: Sequence[Presence], now_s: float) -> list[str]:
        """Remove what nobody needs; the names of what went. Nothing, while a worker serves what is not known here.

        Args:
            workers: What the store knows of them.
            now_s: By the store's clock.
        """
        served = {one.package_sha256 for one in workers if now_s - one.seen_s <= SEEN_S}
        if len(self._known.named) < 2 or _read(self._file) != self._known:
            return []
        if not served <= {one.sha256 for one in self._known.named}:
            return []
        for half in self._folder.glob(".gone-*"):  # a keeper was killed over it
            shutil.rmtree(half, ignore_errors=True)
        needed = {_place(path) for path in self._needed()}
        gone = [path for path in self._packages() if _place(path) not in needed and not _fresh(path)]
        for path in gone:
            _remove(path)
        if gone:
            log.info("packages that nobody needs are removed: %s", ", ".join(sorted(path.name for path in gone)))
        return sorted(path.name for path in gone)

    def _needed(self) -> Iterator[str]:
        """What rows of any store were about lately, and what a server of this checkout would begin with."""
        for file in self._folder.glob(".rows-*.json"):
            yield from (one.package for one in _read(file).named)
        for file in last_good.place().parents[2].glob("*/stillroom/*.json"):
            if (row := last_good.recall(file)) is not None:
                yield row.package

    def _packages(self) -> Iterable[Path]:
        """Every package in the folder: what has no manifest is none of ours."""
        return [path.parent for path in self._folder.glob("*/manifest.json") if not path.parent.name.startswith(".")]


def _read(file: Path) -> Known:
    try:
        return Known.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return Known()
    except (OSError, ValidationError) as e:
        log.warning("%s: cannot be read (%s); it begins anew", file, type(e).__name__)
        return Known()


def _place(path: str | Path) -> Path:
    return Path(path).resolve()


def _fresh(package: Path) -> bool:
    """Whether its manifest was written or read lately; one that is gone meanwhile counts as fresh."""
    try:
        found = (package / "manifest.json").stat()
    except OSError:
        return True
    return time.time() - max(found.st_mtime, found.st_atime) < FRESH_S


def _remove(package: Path) -> None:
    """Out of sight at once, so that nobody finds half of it."""
    aside = package.with_name(f".gone-{package.name}")
    try:
        package.replace(aside)
        shutil.rmtree(aside)
    except OSError as e:
        log.warning("%s: cannot be removed: %s", package, e)
