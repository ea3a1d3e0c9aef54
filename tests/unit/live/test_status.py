"""`stillroom status`: every figure of the keeper, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from flows import status
from flows.show_status import glance
from serving.control.state import Event, Presence
from serving.control.tally import ShadowTally, Tally, VariantTally
from tasks.core.errors import KeeperError
from tasks.live.keeper import Keeper
from tests.unit.live.conftest import Live


@pytest.fixture(autouse=True)
def here(live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STILLROOM_KEEPER", live.url)
    monkeypatch.setenv("COLUMNS", "200")


def call(*arguments: str, ok: bool = True) -> str:
    done = CliRunner().invoke(status.commands, list(arguments))
    assert (done.exit_code == 0) == ok, done.output + repr(done.exception)
    return done.output


def furnish(live: Live, requests: int = 40) -> None:
    latency = (0, 0, 0, requests, *(0,) * 14)
    treatment = VariantTally(requests=requests, rows=requests, errors=3, latency=latency, right=9, wrong=1)
    shadow = ShadowTally(compared=200, agreed=199, kl_sum=0.4, flips={"cat": 1})
    live.store.report("w1", 1, Tally(treatment=treatment, shadow=shadow, cache_hits=1, cache_misses=3))


def test_it_shows_row_findings_answers_workers_and_events(live: Live) -> None:
    assert "there is no row yet" in call() and "no worker follows" in call()
    live.set(reason="[bold]no markup", mode="rolling", stage=0)
    furnish(live)
    live.store.present(Presence(worker="w1", generation=1, package_sha256="ab", error="changed [since]"))
    live.store.append(Event(actor="keeper", kind="advance", generation=1, reason="evidence"))
    text = call("--once")
    wanted = (
        "version 1 for 10% of the users, going up by itself, stage 1 of 2",
        "[bold]no markup",
        "[slow] answers",
        "90.0% of 10",
        "99.50%",
        "cat 1",
        "25.0% of the requests looked up",
        "changed [since]",
        "evidence",
    )
    for part in wanted:
        assert part in text, text
    found = json.loads(call("--json"))
    assert (found["state"]["generation"], found["workers"][0]["worker"]) == (1, "w1")
    assert found["treatment"]["accuracy"] == 0.9 and found["events"][0]["kind"] == "advance"


def test_two_looks_give_the_requests_a_second(live: Live) -> None:
    live.set()
    furnish(live, 40)
    before = Keeper(live.url).glance()
    furnish(live, 100)
    now = Keeper(live.url).glance()
    console = Console(width=200)
    with console.capture() as shown:
        console.print(glance(now.model_copy(update={"now_s": before.now_s + 10}), before))
    assert " 6.0 " in shown.get()


def test_no_keeper_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLROOM_KEEPER", "http://127.0.0.1:9")
    assert "no keeper answers there" in call(ok=False)


def test_the_live_view_outlives_a_keeper_that_is_away(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    live.set()
    furnish(live)
    looks = iter([KeeperError("away"), KeyboardInterrupt()])

    class Away(Keeper):
        def glance(self):  # type: ignore[no-untyped-def]
            raise next(looks)

    monkeypatch.setattr(status, "EVERY_S", 0.0)
    console = Console(width=160, force_terminal=True)
    monkeypatch.setattr(status, "out", console)
    with console.capture() as shown:
        status.follow(Away(live.url), Keeper(live.url).glance())
    assert "old: away" in shown.get() and "treatment" in shown.get()
