"""What `stillroom schedule` says about what it registered, the settings that keep it from happening included."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.schedule import KEEPERS_API, Registered, show
from serving.keeper.notify import PREFECT
from tasks.plan import load
from tasks.plan.schema import Settings

ROOT = Path(__file__).parents[2]
REGISTERED = Registered("id", "retrain/nightly", (datetime(2030, 1, 2, 2, tzinfo=UTC),), "prefect worker start")
NOBODY, PROMOTES_NOTHING = "Nobody sends it: notify.prefect_api", "promote in params/schedule.yaml is false"


def settings(*, prefect_api: str = "", promote: bool = False, on_drift: bool = True) -> Settings:
    found = load(ROOT / "params")
    notify = found.rollout.notify.model_copy(update={"prefect_api": prefect_api})
    rollout = found.rollout.model_copy(update={"notify": notify})
    schedule = found.schedule.model_copy(update={"promote": promote, "on_drift": on_drift})
    return found.model_copy(update={"rollout": rollout, "schedule": schedule})


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEEPERS_API, raising=False)


def test_the_variable_is_the_keepers() -> None:
    assert KEEPERS_API == PREFECT


def test_a_promise_that_nothing_keeps_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    show(REGISTERED, settings())
    told = capsys.readouterr().out
    assert "2030-01-02 02:00 UTC" in told and "stillroom.drift" in told
    assert NOBODY in told and PROMOTES_NOTHING in told


def test_nothing_is_said_where_the_settings_keep_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    show(REGISTERED, settings(prefect_api="http://127.0.0.1:4200/api", promote=True))
    show(REGISTERED, settings(on_drift=False, promote=True))
    monkeypatch.setenv(KEEPERS_API, "http://127.0.0.1:4200/api")
    show(REGISTERED, settings(promote=True))
    told = capsys.readouterr().out
    assert "Nobody" not in told and PROMOTES_NOTHING not in told


def test_the_environments_empty_address_wins(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEEPERS_API, "")
    show(REGISTERED, settings(prefect_api="http://127.0.0.1:4200/api"))
    assert NOBODY in capsys.readouterr().out
