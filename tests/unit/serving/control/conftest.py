"""One real server a kind, started when a test first asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.serving.control import stores


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with stores.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    with stores.redis_server() as server:
        yield server


@pytest.fixture(params=["sqlite", *(pytest.param(kind, marks=pytest.mark.integration) for kind in stores.SERVERS)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store of every kind."""
    if request.param == "postgresql":
        return stores.database(request.getfixturevalue("postgres_server"))
    if request.param == "redis":
        return stores.emptied(request.getfixturevalue("redis_server"))
    return stores.sqlite(tmp_path)
