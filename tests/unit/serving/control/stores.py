"""Stores to test against: SQLite always, real servers where this machine has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

KINDS = ("sqlite",)


def sqlite(folder: Path) -> str:
    return f"sqlite:///{folder / 'control' / 'rollout.db'}"


def url_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """A store of its own, empty."""
    made: Callable[[Path], str] = {"sqlite": sqlite}[kind]
    return made(folder)
