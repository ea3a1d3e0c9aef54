"""Stores to test against: SQLite always; PostgreSQL and Redis as real servers, where they are installed."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

SERVERS = ("postgresql", "redis")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(done: Callable[[], bool], process: subprocess.Popen[bytes], what: str) -> None:
    end = time.monotonic() + 60
    while not done():
        assert process.poll() is None and time.monotonic() < end, f"{what} did not start"
        time.sleep(0.1)


@contextmanager
def folder_of(user: str | None) -> Iterator[Path]:
    """A folder that `user` may write to; pytest's own are closed to everyone else."""
    with tempfile.TemporaryDirectory() as folder:
        if user is not None:
            shutil.chown(folder, user)
        yield Path(folder)


def unprivileged() -> str | None:
    """Who runs PostgreSQL, which refuses to run as root; None: whoever we are."""
    if os.getuid():
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    found = next((name for name in ("postgres", "nobody") if name in names), "")
    return found or pytest.skip("PostgreSQL does not run as root, and there is no user postgres or nobody")


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server without databases of ours."""
    if not shutil.which("initdb") or not shutil.which("postgres"):
        pytest.skip("PostgreSQL (initdb, postgres) is not installed")
    psycopg = pytest.importorskip("psycopg")
    user, port = unprivileged(), free_port()
    with folder_of(user) as folder:
        data = folder / "data"
        made = ["initdb", "--pgdata", str(data), "--auth=trust", "--username=stillroom", "--no-sync", "--encoding=UTF8"]
        subprocess.run(made, check=True, capture_output=True, user=user, cwd=folder)
        options = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
        command = ["postgres", "-D", str(data), "-p", str(port), *options]
        server = subprocess.Popen(command, user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        at = f"host=127.0.0.1 port={port} user=stillroom dbname=postgres"

        def answers() -> bool:
            try:
                psycopg.connect(at).close()
            except psycopg.OperationalError:
                return False
            return True

        try:
            until(answers, server, "PostgreSQL")
            yield f"postgresql://stillroom@127.0.0.1:{port}/"
        finally:
            server.terminate()
            server.wait(30)


def database(server: str) -> str:
    """The URL of a new, empty database on a server."""
    import psycopg

    name = f"t{uuid4().hex}"
    with psycopg.connect(f"{server}postgres", autocommit=True) as c:
        c.execute(f"create database {name}")
    return f"{server}{name}"


@contextmanager
def redis_server(port: int | None = None) -> Iterator[str]:
    """The URL of a Redis server without a database number."""
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is not installed")
    redis = pytest.importorskip("redis")
    port = port or free_port()
    with folder_of(None) as folder:
        settings = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        server = subprocess.Popen(["redis-server", *settings], stdout=subprocess.DEVNULL)

        def answers() -> bool:
            try:
                return bool(redis.Redis(port=port).ping())
            except redis.RedisError:
                return False

        try:
            until(answers, server, "Redis")
            yield f"redis://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(30)


def emptied(server: str) -> str:
    import redis

    redis.Redis.from_url(server).flushall()
    return f"{server}/0"


def sqlite(folder: Path) -> str:
    return f"sqlite:///{folder / 'control' / 'rollout.db'}"
