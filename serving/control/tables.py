"""The tables of a control plane in SQL, and what a row is when it is read back."""

from __future__ import annotations

from typing import TypeVar

import sqlalchemy as sa
from pydantic import ValidationError

from serving.shapes import Frozen

metadata = sa.MetaData()
STATE = sa.Table(
    "stillroom_state",
    metadata,
    sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("package", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("share", sa.Double, nullable=False),
    sa.Column("stage", sa.Integer, nullable=False),
    sa.Column("mode", sa.Text, nullable=False),
    sa.Column("since_s", sa.Double, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)
TALLIES = sa.Table(
    "stillroom_tallies",
    metadata,
    sa.Column("generation", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("worker", sa.Text, primary_key=True),
    sa.Column("seen_s", sa.Double, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
PRESENCES = sa.Table(
    "stillroom_presences",
    metadata,
    sa.Column("worker", sa.Text, primary_key=True),
    sa.Column("seen_s", sa.Double, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
EVENTS = sa.Table(
    "stillroom_events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at_s", sa.Double, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
KEYS = sa.Table(
    "stillroom_keys",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("seen_s", sa.Double, nullable=False),
)
T = TypeVar("T", bound=Frozen)


def parsed(kind: type[T], text: str | bytes, where: str) -> T:
    """JSON from a store as `kind`; ValueError that says where and what when it is broken."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as e:
        raise ValueError(fault(where, e)) from None


def fault(where: str, e: ValidationError) -> str:
    """The first thing wrong with what was read."""
    first = e.errors()[0]
    at = ".".join(map(str, first["loc"]))
    return f"{where}: {at}: {first['msg']}, found {str(first['input'])[:80]!r}"
