"""The supervisor over small processes: back-off, orphans, and what never worked."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from flows import supervise
from flows.supervise import Kept, Server, kill, stop
from tasks.core.errors import StillroomError

CHILD = (  # with a child in a session of its own, as BentoML's workers are
    "import subprocess, sys, time; sleep = [sys.executable, '-c', 'import time; time.sleep(60)'];"
    "subprocess.Popen(sleep, start_new_session=True); time.sleep(60)"
)
ENV = {"PATH": os.environ["PATH"]}


def server(code: str, **more: object) -> Server:
    return Server("thing", (sys.executable, "-c", code), ENV, **more)  # type: ignore[arg-type]


def until(done: Callable[[], object], kept: Kept | None = None) -> None:
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end
        if kept is not None:
            kept.look()
        time.sleep(0.02)


def marked() -> list[psutil.Process]:
    """Our processes that carry any mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(supervise.MARK, "").startswith("thing-") and process.status() != "zombie":
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def said() -> list[str]:
    return []


def test_a_dead_server_takes_its_orphans_along_and_comes_back(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "AGAIN_S", 0.05)
    kept = Kept(server(CHILD), said.append)
    try:
        until(lambda: kept.works and len(marked()) == 2, kept)
        before = {process.pid for process in marked()}
        first = next(p for p in marked() if p.ppid() == os.getpid())
        os.kill(first.pid, signal.SIGKILL)
        until(lambda: said, kept)
        assert said == ["the thing was killed by SIGKILL; starting it again in 0.05 s"]
        until(lambda: kept.works and len(marked()) == 2, kept)
        assert not before & {process.pid for process in marked()}
    finally:
        stop([kept])
    assert not marked()


def test_the_wait_doubles_up_to_its_bound(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "AGAIN_S", 0.02)
    monkeypatch.setattr(supervise, "AGAIN_MAX_S", 0.08)
    kept = Kept(server("raise SystemExit(3)", vital=False), said.append)
    until(lambda: len(said) == 4, kept)
    assert [line.rpartition(" in ")[2] for line in said] == ["0.02 s", "0.04 s", "0.08 s", "0.08 s"]
    assert said[0].startswith("the thing ended with status 3; starting it again")
    stop([kept])


def test_a_server_that_never_answered_ends_it_all(said: list[str]) -> None:
    kept = Kept(server("raise SystemExit(3)", ready="http://127.0.0.1:9/"), said.append)
    with pytest.raises(StillroomError, match="the thing ended with status 3 before it answered"):
        until(lambda: False, kept)
    stop([kept])
    assert not said


def test_what_does_not_listen_is_killed(said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "STOP_S", 0.3)
    deaf = (
        f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); open({str(tmp_path / 'deaf')!r}, 'w'); {CHILD}"
    )
    kept = Kept(server(deaf), said.append)
    until(lambda: (tmp_path / "deaf").exists() and len(marked()) == 2, kept)
    stop([kept])
    assert said == ["the thing did not stop within 0.3 s; killing it"] and not marked()
    kill("a mark that nobody has")


def test_a_server_may_be_started_anew_by_another_command(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "AGAIN_S", 0.02)
    kept = Kept(
        server("raise SystemExit(3)", vital=False, again=(sys.executable, "-c", "raise SystemExit(4)")), said.append
    )
    until(lambda: len(said) == 3, kept)
    assert [line.partition(";")[0][-1] for line in said] == ["3", "4", "4"]
    stop([kept])
