"""Connections to SQLite and PostgreSQL that fail soon, and that notice when the file under them is another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DisconnectionError, NoSuchModuleError

from serving.control.store import AWAY_S, SCHEMES, StoreError

BUSY_S = AWAY_S  # how long to wait for another writer
SERVER = {
    "connect_timeout": int(AWAY_S),
    "options": f"-c statement_timeout={int(AWAY_S * 1000)} -c lock_timeout={int(AWAY_S * 1000)}",
    "tcp_user_timeout": int(AWAY_S * 1000),
    "application_name": "stillroom",
}


def of(url: str, *, create: bool) -> tuple[sa.Engine, str]:
    """An engine, and the URL as it may be shown. StoreError when the URL or the library is wrong."""
    try:
        at = sa.make_url(url)
    except ArgumentError:
        raise StoreError(f"control.url: {url[:80]!r} is no database URL; see serving/control/store.py") from None
    if at.drivername in ("postgres", "postgresql"):
        at = at.set(drivername="postgresql+psycopg")
    shown = at.render_as_string(hide_password=True)
    if at.get_backend_name() == "sqlite":
        if not at.database or at.database == ":memory:":
            raise StoreError(f"control.url: {shown}: names no file; allowed: sqlite:///PATH")
        return _sqlite(Path(at.database).absolute(), create), shown
    if at.get_backend_name() != "postgresql":
        raise StoreError(f"control.url: {shown}: no kind of store; allowed: {', '.join(SCHEMES)}")
    try:
        return sa.create_engine(at, pool_size=2, max_overflow=2, pool_pre_ping=True, connect_args=SERVER), shown
    except NoSuchModuleError as e:
        raise StoreError(f"control.url: {shown}: {e}; allowed: {', '.join(SCHEMES)}") from None
    except ModuleNotFoundError as e:
        raise StoreError(f"control.url: {shown}: needs {e.name}; pip install 'stillroom[postgres]'") from None


def clock(dialect: str) -> sa.ColumnElement[Any]:
    """Unix time in seconds by the database's own clock."""
    if dialect == "sqlite":
        return (sa.func.julianday("now") - 2440587.5) * 86400.0
    return sa.cast(sa.func.extract("epoch", sa.func.clock_timestamp()), sa.Double)


def _sqlite(path: Path, create: bool) -> sa.Engine:
    """One file, with readers beside a writer. A file that was removed is away, not empty: it is never made here anew.

    A connection that outlives its file would read and write one that nobody else sees, hence the check at each use.
    """
    import sqlite3

    made = [create]

    def connect() -> sqlite3.Connection:
        if not made[0] and not path.exists():
            raise sqlite3.OperationalError("there is no such file; the keeper makes it, or a backup brings it back")
        if made[0]:
            path.parent.mkdir(parents=True, exist_ok=True)
        mode = "rwc" if made[0] else "rw"
        made[0] = False
        opened = sqlite3.connect(f"{path.as_uri()}?mode={mode}", uri=True, timeout=BUSY_S, check_same_thread=False)
        opened.execute("PRAGMA journal_mode=WAL")
        opened.execute("PRAGMA synchronous=FULL")  # a rollback must outlive a power cut
        return opened

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.QueuePool, pool_size=2, max_overflow=2)

    def identity() -> tuple[int, int] | None:
        try:
            found = path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    @sa.event.listens_for(engine, "connect")
    def opened(_: Any, record: Any) -> None:
        record.info["file"] = identity()

    @sa.event.listens_for(engine, "checkout")
    def used(_: Any, record: Any, __: Any) -> None:
        if record.info["file"] is None or record.info["file"] != identity():
            raise DisconnectionError(f"{path.name} was removed or replaced")

    return engine
