"""A real Chromium, driven by the W3C WebDriver protocol: for pages that go on loading, as MLflow's do."""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.integration.fleet import free_port

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
DRIVER = shutil.which("chromedriver") or ""
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--no-first-run", "--window-size=1920,1300", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"),
)


class Browser:
    """One window."""

    def __init__(self, session: httpx.Client) -> None:
        self._session = session

    def open(self, address: str) -> None:
        """Go there; a page that is open already is loaded anew."""
        self._ask("/url", {"url": "about:blank"})  # else a new part after the # would not load anything
        self._ask("/url", {"url": address})

    def told(self, script: str) -> Any:
        """What a script returns."""
        return self._ask("/execute/sync", {"script": script, "args": []})

    def wait_for(self, script: str, seconds: float = 60) -> Any:
        """What a script returns once that is neither nothing nor false."""
        end = time.monotonic() + seconds
        while not (found := self.told(script)):
            assert time.monotonic() < end, f"{script} not so after {seconds:g} s; there is:\n{self.text()[:3000]}"
            time.sleep(0.2)
        return found

    def text(self) -> str:
        """All that can be read."""
        return str(self.told("return document.body.innerText"))

    def enter(self, frame: str) -> None:
        """Go on in the frame that a CSS selector names."""
        self.wait_for(f"return Boolean(document.querySelector({frame!r}))")
        self._ask("/frame", {"id": self._ask("/element", {"using": "css selector", "value": frame})})

    def console(self) -> list[str]:
        """The errors that went to the console since the last call."""
        return [e["message"] for e in self._ask("/se/log", {"type": "browser"}) if e["level"] == "SEVERE"]

    def shoot(self, file: Path) -> None:
        """A picture of the window."""
        answer = self._session.get("/screenshot").json()
        file.write_bytes(base64.b64decode(answer["value"]))

    def _ask(self, path: str, body: dict[str, Any]) -> Any:
        answer = self._session.post(path, json=body).json()["value"]
        assert not (isinstance(answer, dict) and "error" in answer), f"{path}: {answer}"
        return answer


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A fresh window that reaches 127.0.0.1 alone; both programs are stopped in the end."""
    port = free_port()
    driver = subprocess.Popen(
        [DRIVER, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    wanted = {
        "goog:chromeOptions": {"binary": CHROMIUM, "args": [*OPTIONS, f"--user-data-dir={profile}"]},
        "goog:loggingPrefs": {"browser": "ALL"},
    }
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            wait_until_up(driver, client, "/status")
            made = client.post("/session", json={"capabilities": {"alwaysMatch": wanted}}).json()["value"]
            assert "sessionId" in made, made
            client.base_url = f"http://127.0.0.1:{port}/session/{made['sessionId']}"
            yield Browser(client)
    finally:
        windows = psutil.Process(driver.pid).children(recursive=True)  # which outlive a driver that is stopped
        driver.terminate()
        driver.wait(20)
        for each in windows:
            with suppress(psutil.NoSuchProcess):
                each.kill()


def wait_until_up(process: subprocess.Popen[bytes], client: httpx.Client, path: str, seconds: float = 60) -> None:
    """Until a server answers; AssertionError when its process ends before, or takes longer."""
    end = time.monotonic() + seconds
    while True:
        try:
            client.get(path).raise_for_status()
            return
        except httpx.HTTPError:
            assert process.poll() is None, f"{process.args} ended with {process.returncode}"
            assert time.monotonic() < end, f"{client.base_url}{path}: no answer"
            time.sleep(0.1)
