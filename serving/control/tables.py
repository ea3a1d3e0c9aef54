"""The tables of a control plane in SQL."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()
STATE = sa.Table(
    "stillroom_state",
    metadata,
    sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("package", sa.Text, nullable=False),
    sa.Column("package_sha256", sa.Text, nullable=False),
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
