"""What a reviewer sees in MLflow's real pages of a run that `track` logged: the verdict, the winner, every variant."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tasks.track import run, store
from tests.e2e.browser import CHROMIUM, DRIVER, Browser, browser, wait_until_up
from tests.integration import tracked
from tests.integration.conftest import environment
from tests.integration.fleet import free_port

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
NOT_OURS = "/ajax-api/2.0/mlflow/users/current"  # MLflow asks for it, and its own server without accounts has none
DRAWN = "return document.querySelectorAll('.js-plotly-plot:has(.main-svg)').length"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store with two runs, of which the second changed one variant; the id of the second."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("there is no Chromium with its chromedriver on the path")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("project"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for number, weight in enumerate((2.0, 3.0)):
            tracked.write(weight=weight)
            tracked.flow(str(number), "computed")
            run(tracked.settings())
        newest, *_ = store.search_finished(store.connect(), {"kind": "run"})
        yield newest.info.run_id


@pytest.fixture(scope="module")
def server(project: str) -> Iterator[str]:
    """The address of `stillroom ui` over that store, without Prefect's page."""
    Path("dvc.yaml").touch()  # which makes the folder a checkout
    Path(store.DATABASE.parent / "server.env").write_bytes((ROOT / "mlflow" / "server.env").read_bytes())
    port = free_port()
    env = {**environment(), "PYTHONPATH": os.fspath(ROOT), "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    command = [sys.executable, "-m", "flows.cli", "ui", "--mlflow-port", str(port)]
    ui = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            wait_until_up(ui, client, "/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        ui.send_signal(signal.SIGTERM)
        ui.wait(30)


@pytest.fixture(scope="module")
def window(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser") / "profile") as made:
        yield made


def ours(console: list[str]) -> list[str]:
    return [message for message in console if NOT_OURS not in message]


def page_of(server: str, run_id: str, part: str = "") -> str:
    return f"{server}/#/experiments/1/runs/{run_id}{part}?workflowType=machine_learning"


def test_the_summary_tells_verdict_winner_and_every_variant(window: Browser, server: str, project: str) -> None:
    window.open(page_of(server, project))
    verdict = "[...document.querySelectorAll('h2')].find((h) => h.innerText.startsWith('small wins:'))"
    top = window.wait_for(f"return {verdict}?.getBoundingClientRect().top")
    assert top < window.told("return innerHeight / 3"), "the verdict is what is seen first"
    rows = window.told("return [...document.querySelectorAll('tr')].map((row) => row.innerText.trim())")
    told = [row for row in rows if row.split() and row.split()[0] in tracked.ROWS and "[" in row]
    assert {row.split()[0] for row in told} == set(tracked.ROWS)
    assert [row.split()[0] for row in told if "chosen" in row] == ["small"]
    assert "Gates: all 5 hold" in window.text() and "version 2" in window.text()
    assert ours(window.console()) == []


def test_charts_compare_the_variants_of_that_run_alone(window: Browser, server: str, project: str) -> None:
    window.open(page_of(server, project))
    link = window.wait_for("return [...document.links].find((a) => a.innerText === 'all variants of this run')?.href")
    window.open(link)
    window.wait_for(f"{DRAWN} >= 6")  # of seven, those in view
    assert f"{len(tracked.ROWS)} matching runs" in window.text(), "four variants are in the store"
    named = window.told("return [...document.links].filter((a) => a.href.includes('/runs/')).map((a) => a.innerText)")
    assert sorted(name for name in named if name in tracked.ROWS) == sorted(tracked.ROWS)
    assert ours(window.console()) == []


@pytest.mark.parametrize(("name", "charts"), {"trade": 1, "steps": 3}.items())
def test_figures_are_drawn_in_the_viewer(window: Browser, server: str, project: str, name: str, charts: int) -> None:
    window.open(page_of(server, project, f"/artifacts/figures/{name}.html"))
    window.enter("iframe")
    window.wait_for(f"{DRAWN} >= {charts}")
    assert window.told("return document.getElementById('no-charts').hidden")
    assert ours(window.console()) == []


def test_a_fault_on_the_page_would_be_seen(window: Browser, server: str, project: str) -> None:
    window.open(page_of(server, project))
    window.told("setTimeout(() => { throw new Error('planted'); })")
    window.told("fetch('https://example.org/x').catch(() => 0); return 1")
    window.wait_for("return document.querySelectorAll('h2').length")
    found = " ".join(ours(window.console()))
    assert "planted" in found and "example.org" in found
