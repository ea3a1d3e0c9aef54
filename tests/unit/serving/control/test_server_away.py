"""Stores on a server: none there, one that goes away and comes back, and what a message may show."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from serving.control import redis_scripts, redis_store
from serving.control.state import State
from serving.control.store import StoreError, open_store
from tests.unit.serving.control import stores

pytestmark = pytest.mark.integration
FIRST = State(generation=1, package="p", version="3", share=0.1, by="test")


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.mark.parametrize("scheme", ["postgresql://u:secret@", "redis://:secret@"])
def test_no_server_is_said_without_the_password(scheme: str) -> None:
    store = open_store(f"{scheme}127.0.0.1:{stores.free_port()}/0")
    with pytest.raises(StoreError, match=r"127\.0\.0\.1") as told:
        store.read()
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("scheme", ["postgresql://u@", "redis://"])
def test_a_server_that_never_answers_is_away_too(silent: int, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_store, "AWAY_S", 0.3)
    with pytest.raises(StoreError):
        open_store(f"{scheme}127.0.0.1:{silent}/0").read()


def test_a_redis_that_comes_back_empty_is_no_row_and_then_one(redis_server: str) -> None:
    port = stores.free_port()
    with stores.redis_server(port) as server:
        store = open_store(f"{server}/0")
        assert store.swap(FIRST, 0)
    with pytest.raises(StoreError):
        store.read()
    with stores.redis_server(port):
        assert store.read() is None and store.swap(FIRST, 0) and store.read() == FIRST


def test_a_broken_row_in_redis_is_named_and_can_be_replaced(redis_server: str) -> None:
    import redis

    store = open_store(stores.emptied(redis_server))
    store.swap(FIRST, 0)
    redis.Redis.from_url(redis_server).hset(redis_scripts.STATE, "body", '{"generation": 1}')
    with pytest.raises(StoreError, match="the row: package: Field required"):
        store.read()
    assert store.swap(FIRST.next(by="a", reason="repaired", since_s=0.0), 1) and store.read() is not None
