"""The control plane in SQLite (WAL) or PostgreSQL, by SQLAlchemy Core."""
# ruff: noqa: D102 (what each method does stands in `Store`)

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from serving.control import sql_engine
from serving.control.broken import fault, parsed
from serving.control.state import Event, Presence, State
from serving.control.store import Store, StoreError
from serving.control.tables import EVENTS, KEYS, PRESENCES, STATE, TALLIES, metadata
from serving.control.tally import Tally, merged

ONE = STATE.c.id == 1


class SqlStore(Store):
    """See `store.Store`. Every method is one transaction, and every change of the row is one statement."""

    def __init__(self, url: str, *, create: bool = False) -> None:
        self._engine, self.where = sql_engine.of(url, create=create)
        self._make = create
        self._upsert: Any = sqlite.insert if self._engine.dialect.name == "sqlite" else postgresql.insert
        self._now = sa.select(sql_engine.clock(self._engine.dialect.name)).scalar_subquery()

    def read(self) -> State | None:
        with self._transaction() as c:
            row = c.execute(sa.select(STATE).where(ONE)).mappings().first()
        if row is None:
            return None
        try:
            return State.model_validate({key: value for key, value in row.items() if key != "id"})
        except ValidationError as e:
            raise StoreError(fault(f"{self.where}: the row", e)) from None

    def swap(self, new: State, expected: int) -> bool:
        if new.generation != expected + 1:
            raise ValueError(f"generation {new.generation} after {expected}: it goes up by one")
        with self._transaction() as c:
            if expected:
                changed = sa.update(STATE).where(ONE, STATE.c.generation == expected).values(**new.model_dump())
                return bool(c.execute(changed).rowcount == 1)
            made = self._upsert(STATE).values(id=1, **new.model_dump()).on_conflict_do_nothing()
            return c.execute(made.returning(STATE.c.generation)).first() is not None

    def report(self, worker: str, generation: int, tally: Tally) -> None:
        keys = {"worker": worker, "generation": generation}
        self._replace(TALLIES, keys, {"body": tally.model_dump_json(), "seen_s": self._now})

    def tallies(self, generation: int) -> Tally:
        with self._transaction() as c:
            bodies = c.scalars(sa.select(TALLIES.c.body).where(TALLIES.c.generation == generation)).all()
        with self._told():
            return merged(parsed(Tally, body, f"{self.where}: a tally") for body in bodies)

    def present(self, presence: Presence) -> None:
        self._replace(PRESENCES, {"worker": presence.worker}, {"body": presence.model_dump_json(), "seen_s": self._now})

    def presences(self) -> tuple[Presence, ...]:
        with self._transaction() as c:
            asked = sa.select(PRESENCES.c.body, PRESENCES.c.seen_s).order_by(PRESENCES.c.seen_s.desc())
            rows = c.execute(asked).all()
        with self._told():
            where = f"{self.where}: a presence"
            return tuple(parsed(Presence, row.body, where).model_copy(update={"seen_s": row.seen_s}) for row in rows)

    def append(self, event: Event) -> int:
        with self._transaction() as c:
            body = event.model_dump_json(exclude={"id", "at_s"})
            made = sa.insert(EVENTS).values(at_s=self._now, kind=event.kind, body=body).returning(EVENTS.c.id)
            return int(c.execute(made).scalar_one())

    def events(self, after: int = 0, limit: int = 500) -> tuple[Event, ...]:
        return self._events(sa.select(EVENTS).where(EVENTS.c.id > after).order_by(EVENTS.c.id).limit(limit))

    def latest(self, limit: int) -> tuple[Event, ...]:
        return self._events(sa.select(EVENTS).order_by(EVENTS.c.id.desc()).limit(limit))

    def first_time(self, key: str) -> bool:
        with self._transaction() as c:
            made = self._upsert(KEYS).values(key=key, seen_s=self._now).on_conflict_do_nothing()
            return c.execute(made.returning(KEYS.c.key)).first() is not None

    def now_s(self) -> float:
        with self._transaction() as c:
            return float(c.execute(sa.select(self._now)).scalar_one())

    def forget(self, older_than_s: float) -> None:
        with self._transaction() as c:
            for table in (PRESENCES, KEYS):
                c.execute(sa.delete(table).where(table.c.seen_s < self._now - older_than_s))
            newest = sa.select(sa.func.coalesce(sa.func.max(STATE.c.generation), 0)).scalar_subquery()
            old = sa.and_(TALLIES.c.seen_s < self._now - older_than_s, TALLIES.c.generation < newest)
            c.execute(sa.delete(TALLIES).where(old))

    def close(self) -> None:
        self._engine.dispose()

    def _replace(self, table: sa.Table, keys: dict[str, Any], values: dict[str, Any]) -> None:
        with self._transaction() as c:
            c.execute(
                self._upsert(table)
                .values(**keys, **values)
                .on_conflict_do_update(index_elements=list(keys), set_=values)
            )

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        with self._told():
            if self._make:
                self._created()
            with self._engine.begin() as c:
                yield c

    def _created(self) -> None:
        """Make the tables once. Two that do so at the same time: the slower one finds them there."""
        try:
            metadata.create_all(self._engine)
        except IntegrityError:
            metadata.create_all(self._engine)
        self._make = False

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as e:
            said = str(getattr(e, "orig", None) or e).strip().splitlines() or [type(e).__name__]
            raise StoreError(f"{self.where}: {said[0][:300]}") from e
        except ValueError as e:
            raise StoreError(str(e)) from None

    def _events(self, wanted: sa.Select[Any]) -> tuple[Event, ...]:
        with self._transaction() as c:
            rows = c.execute(wanted).all()
        with self._told():
            return tuple(
                parsed(Event, row.body, f"{self.where}: event {row.id}").model_copy(
                    update={"id": row.id, "at_s": row.at_s}
                )
                for row in rows
            )
