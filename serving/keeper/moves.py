"""Moving the row: read, check, compare and set, and write down what was done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from serving import package as packages
from serving.control.state import Kind, State
from serving.control.store import Store
from serving.keeper import changes
from serving.keeper.audit import Audit
from serving.keeper.changes import Change, Offer, Unfit
from serving.keeper.decisions import Decisions
from serving.package import PackageError
from serving.refusal import Refused

C = TypeVar("C", bound=Change)
NOTHING: Mapping[str, float] = MappingProxyType({})


class Moves:
    """Every change goes through here, so every one is in the audit log, and counted among `decisions`."""

    def __init__(self, store: Store, audit: Audit, decisions: Decisions) -> None:
        self._store, self._audit, self._decisions = store, audit, decisions

    def change(
        self,
        kind: Kind,
        actor: str,
        asked: C,
        after: Callable[[State, C, float], State],
        because: Mapping[str, float] = NOTHING,
    ) -> State:
        """Replace the row by `after(row, asked, now_s)`; the numbers it is done for stand in the audit log.

        Raises:
            Unfit: The row is not the one that was expected, or the change does not fit it.
            StoreError: The store is away, or the row is broken.
        """
        row = self._store.read()
        if row is None:
            raise Unfit("there is no row yet; POST /package makes the first one", None)
        if row.generation != asked.expected:
            raise self._late(asked, row)
        return self._swap(kind, actor, asked, after(row, asked, self._store.now_s()), because)

    def offer(self, actor: str, asked: Offer) -> State:
        """Serve another package, after every SHA-256 in it was checked. Refused when it is broken; else as `change`.

        It also replaces a broken row, as long as its generation is the expected one.
        """
        folder = Path(asked.package)
        if not folder.is_absolute():
            raise Refused(f"package: {asked.package!r} is relative; allowed: the path of a folder that all workers see")
        try:
            package = packages.read(folder)
        except PackageError as e:
            raise Refused(f"package: {e}") from None
        return self._swap("package", actor, asked, changes.offered(asked, package, self._store.now_s()))

    def _swap(self, kind: Kind, actor: str, asked: Change, new: State, because: Mapping[str, float] = NOTHING) -> State:
        if not self._store.swap(new, asked.expected):
            raise self._late(asked, self._store.read())
        self._decisions.count(kind, actor)
        numbers: dict[str, float | str] = {
            "share": new.share,
            "stage": float(new.stage),
            "version": new.version,
            "mode": new.mode,
            **because,
        }
        said = f"{asked.by}: {asked.reason}" if asked.reason else asked.by
        self._audit.write(kind, actor, new.generation, said, **numbers)
        return new

    def _late(self, asked: Change, row: State | None) -> Unfit:
        found = "there is no row" if row is None else f"the row is generation {row.generation}, by {row.by}"
        return Unfit(f"expected: {asked.expected}; {found}; look at it and ask again", row)
