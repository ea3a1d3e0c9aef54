"""The keeper's page in a real browser: it shows what the store holds, and asks nobody else."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import uvicorn

from serving.control.state import Event, Presence, State
from serving.control.store import Store, StoreError, open_store
from serving.control.tally import ShadowTally, Tally, VariantTally
from serving.keeper.admin import Admin
from serving.keeper.status import routes
from serving.keeper.token import Tokens

pytestmark = pytest.mark.e2e
BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
BROWSERS_OWN = ("google.com", "googleapis.com", "gvt1.com")
STAGES = (0.01, 0.1, 0.5, 0.9)
FINDING = {"rule": "error_rate", "outcome": "harm", "sentence": "3 of 40 answers failed.", "numbers": {"share": 0.075}}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """One worker and some counts."""
    if not BROWSER:
        pytest.skip("there is no chromium or google-chrome on the path")
    store = open_store(f"sqlite:///{tmp_path / 'rollout.db'}", create=True)
    row = State(generation=1, package="p", version="7", share=0.1, stage=1, mode="rolling", by="keeper", reason="<b>ok")
    assert store.swap(row, 0)
    latency = (0, 0, 0, 40, *(0,) * 14)
    store.report(
        "w",
        1,
        Tally(
            treatment=VariantTally(requests=40, rows=40, errors=3, latency=latency, right=9, wrong=1),
            shadow=ShadowTally(compared=200, agreed=199, kl_sum=0.4, flips={"cat": 1}),
            cache_hits=1,
            cache_misses=3,
        ),
    )
    store.present(Presence(worker="host:1:abcdef", generation=1, package_sha256="a" * 64, rss_mb=90))
    store.append(Event(actor="keeper", kind="advance", generation=1, reason="enough evidence"))
    yield store
    store.close()


@pytest.fixture
def keeper(store: Store) -> Iterator[str]:
    """The address of a keeper's port, over the store."""
    app = Admin(store, Tokens.read(), routes(store, STAGES, lambda: (FINDING,))).app
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    server.should_exit = True
    thread.join(10)


def browse(url: str, folder: Path, *options: str) -> tuple[str, str, set[str]]:
    """The drawn document, what went to the console, and every host that a request was for."""
    net = folder / "net.json"
    command = [
        *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
        *("--disable-component-update", "--no-first-run", f"--user-data-dir={folder / 'profile'}"),
        *(f"--log-net-log={net}", "--enable-logging=stderr", "--timeout=5000", "--virtual-time-budget=3000"),
        *("--dump-dom", *options, url),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    asked = set(re.findall(r'"url":"https?://([^/":]+)', net.read_text(encoding="utf-8", errors="replace")))
    return done.stdout, console, {host for host in asked if not host.endswith(BROWSERS_OWN)}


def text_of(document: str, name: str) -> str:
    """What an element with this id says, without its tags."""
    found = re.search(rf'<(\w+)[^>]*\bid="{name}"[^>]*>(.*?)</\1>', document, re.S)
    assert found is not None, name
    return re.sub(r"<[^>]+>", " ", found[2])


@pytest.mark.parametrize("size", ["1280,900", "390,844"])
def test_it_shows_the_rollout(keeper: str, tmp_path: Path, size: str) -> None:
    document, console, asked = browse(keeper, tmp_path, f"--window-size={size}")
    assert console == ""
    assert asked <= {"127.0.0.1"}
    assert text_of(document, "headline") == "Version 7 for 10 % of the users, going up by itself."
    assert "&lt;b&gt;ok" in text_of(document, "why"), "a reason is text and not markup"
    assert re.search(r'<li[^>]*aria-current="step"[^>]*>10 %</li>', document)
    assert "error rate harm 3 of 40 answers failed." in " ".join(text_of(document, "findings").split())
    assert "90.0 % of 10" in text_of(document, "answers")
    assert "99.50 %" in text_of(document, "shadow") and "cat 1" in text_of(document, "shadow")
    assert text_of(document, "cache").startswith("25.0 % of the requests")
    assert "follows" in text_of(document, "workers")
    assert "enough evidence" in text_of(document, "events")


@pytest.mark.parametrize(("looks", "old"), [(1, False), (2, True), (3, False)])
def test_what_is_old_is_said_to_be_and_no_longer_once_it_is_new(
    keeper: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: int, old: bool
) -> None:
    """The store is away at the page's second look, and back at its third; it looks every two seconds."""
    reads, read = count(1), store.read

    def away_once() -> State | None:
        if next(reads) == 2:
            raise StoreError("rollout.db is away")
        return read()

    monkeypatch.setattr(store, "read", away_once)
    document, _, _ = browse(keeper, tmp_path, f"--virtual-time-budget={2000 * looks - 1000}")
    assert next(reads) == looks + 1, "so often it has looked"
    notice = "What is shown is old: rollout.db is away. Asking again."
    assert text_of(document, "trouble") == (notice if old else "")
    assert re.search(r'<div[^>]*id="trouble"[^>]*role="alert"', document), "read out by a screen reader"
    assert text_of(document, "headline").startswith("Version 7 for 10 %"), "it stays to be seen"
    assert "90.0 % of 10" in text_of(document, "answers")
