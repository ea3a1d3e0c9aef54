"""Secrets are made once, are read by their owner alone, and the environment comes first; the lease is held by one."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from flows import lease, tokens
from flows.lease import Lease
from tasks.core.errors import StillroomError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in tokens.ALL:
        monkeypatch.delenv(name, raising=False)


def test_a_secret_is_made_once_for_its_owner_alone() -> None:
    assert tokens.known(tokens.ADMIN) == ""
    secret = tokens.made(tokens.ADMIN)
    assert len(secret) >= 43 and tokens.made(tokens.ADMIN) == tokens.known(tokens.ADMIN) == secret
    assert tokens.place(tokens.ADMIN).stat().st_mode & 0o777 == 0o600
    assert tokens.FOLDER.stat().st_mode & 0o077 == 0
    assert tokens.made(tokens.FOLLOWER) != secret
    assert sorted(path.name for path in tokens.FOLDER.iterdir()) == ["admin_token", "follower_token"]


def test_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tokens.ADMIN, "given")
    assert tokens.made(tokens.ADMIN) == tokens.known(tokens.ADMIN) == "given"
    assert not tokens.FOLDER.exists()


def test_a_secret_that_others_may_read_is_none() -> None:
    tokens.made(tokens.ADMIN)
    tokens.place(tokens.ADMIN).chmod(0o644)
    with pytest.raises(StillroomError, match=r"admin_token: has mode 644.*allowed: 600"):
        tokens.known(tokens.ADMIN)


def take(control: str, address: str) -> None:
    os._exit(0 if Lease(control).take(address) else 1)


def test_one_process_at_a_time_has_the_lease_and_the_next_one_gets_it() -> None:
    def other(control: str) -> bool:
        process = multiprocessing.get_context("fork").Process(target=take, args=(control, "http://other"))
        process.start()
        process.join()
        return process.exitcode == 0

    assert lease.newest() == ""
    mine = Lease("sqlite:///a")
    assert mine.take("http://mine") and mine.held
    assert lease.newest() == Lease("sqlite:///a").holder() == "http://mine"
    assert not other("sqlite:///a") and other("sqlite:///b")
    mine.free()
    assert not mine.held and other("sqlite:///a")
    assert Lease("sqlite:///a").holder() == "http://other"
