"""`stillroom rollout`: what it prints, and what it does when somebody else was faster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows import rollout, tokens
from tasks.core.errors import KeeperError
from tasks.live.keeper import Keeper
from tasks.live.shapes import Row
from tests import made_package
from tests.unit.live.conftest import ADMIN, Live


@pytest.fixture(autouse=True)
def here(live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STILLROOM_KEEPER", live.url)
    monkeypatch.setenv(tokens.ADMIN, ADMIN)


def call(*arguments: str, ok: bool = True) -> str:
    done = CliRunner().invoke(rollout.commands, list(arguments))
    assert (done.exit_code == 0) == ok, done.output + repr(done.exception)
    return done.output


def test_each_command_moves_the_row(live: Live, tmp_path: Path) -> None:
    package = made_package.make(tmp_path / "results" / "package", stages=[0.05, 0.5])
    assert "generation 1: rolling, share 0.05, version candidate" in call("offer")
    assert "held" in call("hold", "--reason", "lunch")
    assert json.loads(call("resume", "--json"))["mode"] == "rolling"
    assert "share 0.4" in call("share", "0.4")
    assert "rolled_back, share 0," in call("rollback")
    assert "generation 6: settled, share 0.2, version 9" in call(
        "offer", str(package), "--version", "9", "--share", "0.2"
    )
    hold = next(event for event in live.store.events() if event.kind == "hold")
    assert hold.reason == f"{rollout.user()}: lunch"


def test_what_is_wrong_is_one_clear_line(live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "results/package/manifest.json: not there" in call("offer", ok=False)
    assert "there is no row yet" in call("hold", ok=False)
    live.set()
    monkeypatch.setenv(tokens.ADMIN, "a wrong one")
    assert "a wrong token" in call("share", "0.5", ok=False)
    monkeypatch.delenv(tokens.ADMIN)
    text = call("share", "0.5", ok=False)
    assert tokens.ADMIN in text and ".stillroom/secrets/admin_token" in text
    monkeypatch.setenv("STILLROOM_KEEPER", "http://127.0.0.1:9")
    monkeypatch.setenv(tokens.ADMIN, ADMIN)
    assert "no keeper answers there" in call("hold", ok=False)


class Slow(Keeper):
    """Somebody else moves the row between its read and its change."""

    def __init__(self, live: Live, **changes: Any) -> None:
        super().__init__(live.url, ADMIN)
        self._live, self._changes = live, changes

    def row(self) -> Row | None:
        found = super().row()
        self._live.set(**self._changes)
        return found


def test_a_change_that_came_late_is_asked_once_more(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    live.set()
    assert rollout.changed(Slow(live, share=0.2), "share", share=0.5).generation == 3
    assert "asking again" in capsys.readouterr().err


def test_a_share_never_undoes_a_rollback_that_came_between(live: Live) -> None:
    live.set()
    with pytest.raises(KeeperError, match="not asked again"):
        rollout.changed(Slow(live, share=0.0, mode="rolled_back"), "share", share=0.5)
    row = live.store.read()
    assert row is not None and (row.generation, row.share) == (2, 0.0)


def test_a_rollback_is_asked_again_whatever_came_between(live: Live) -> None:
    live.set()
    assert rollout.changed(Slow(live, package="/other", mode="rolling"), "rollback").mode == "rolled_back"
