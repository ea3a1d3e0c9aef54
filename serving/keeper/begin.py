"""The first row, and the package that a server was started with. The keeper also remembers the row on disk.

A database that came back empty begins where the lost one ended, not where the server once began: what was rolled back
stays so.
"""

from __future__ import annotations

import os
from pathlib import Path

from serving import last_good
from serving.control.state import State
from serving.control.store import Store
from serving.keeper import changes
from serving.keeper.audit import Audit
from serving.keeper.changes import Offer
from serving.last_good import LastGood
from serving.package import Package

VERSION = "STILLROOM_VERSION"  # of the package in STILLROOM_PACKAGE, in the registry


def memory(store: Store) -> Path:
    """Where the keeper of this store remembers the row: its own file, beside the server's."""
    return last_good.place().with_name("keeper.json")


def begin(store: Store, package: Package, audit: Audit, *, offer: bool) -> State:
    """The row to begin with: the one that is there, else the remembered one, else one about `package`.

    Args:
        store: May create what it needs.
        package: What the server was started with.
        audit: Gets an event when a row is made.
        offer: Offer `package` when the row is about another one, as a person does who starts a server over it.

    Raises:
        StoreError: The store is away, or its row is broken.
    """
    row, by = store.read(), "keeper"
    version = os.environ.get(VERSION, "candidate")
    if row is not None and (not offer or row.package_sha256 == package.manifest_sha256):
        return row
    before = last_good.recall(memory(store), store.where) if row is None else None
    if before is not None and (not offer or before.package_sha256 == package.manifest_sha256):
        reason = f"the store had lost its row; generation {before.generation} goes on"
        new = before.model_copy(update={"generation": 1, "by": by, "reason": reason, "since_s": store.now_s()})
    else:
        reason = "the server was started with this package"
        asked = Offer(
            expected=row.generation if row is not None else 0,
            by=by,
            reason=reason,
            package=str(package.folder),
            version=version,
        )
        new = changes.offered(asked, package, store.now_s())
    if not store.swap(new, new.generation - 1):
        found = store.read()
        assert found is not None, "somebody else made a row, and rows are never removed"
        return found
    audit.write("boot", by, new.generation, reason, share=new.share, version=new.version)
    return new


def remember(store: Store, row: State) -> None:
    """Keep the row on disk."""
    last_good.remember(memory(store), LastGood(store=store.where, state=row))
