"""Letters to other services: JSON by POST, from a thread of its own: nobody waits for whoever is slow or away."""

from __future__ import annotations

import logging
import threading
import urllib.error
import urllib.request
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

log = logging.getLogger("stillroom.keeper")
TIMEOUT_S = 5.0
WAITS_S = (1.0, 5.0, 15.0)  # before each further try
WAITING_MAX = 100  # letters; the oldest goes when there are more
LATER = (408, 425, 429)  # statuses beside 5xx that another try may change


@dataclass(frozen=True)
class Letter:
    """What goes where."""

    url: str
    body: bytes
    headers: Mapping[str, str]


def letter(url: str, content: Any, headers: Mapping[str, str]) -> Letter:
    """A letter with `content` as JSON."""
    return Letter(url, orjson.dumps(content), {"Content-Type": "application/json", **headers})


class _Straight(urllib.request.HTTPRedirectHandler):
    """A letter that is sent elsewhere would arrive there as a GET without a body: not delivered."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nothing."""


_OPENER = urllib.request.build_opener(_Straight)


class Post:
    """Sends letters in order. `counts` has `sent`, `failed` and `dropped`."""

    def __init__(self, name: str, waits_s: tuple[float, ...] = WAITS_S) -> None:
        self.counts: Counter[str] = Counter(sent=0, failed=0, dropped=0)
        self._name, self._waits_s = name, waits_s
        self._waiting: deque[Letter] = deque()
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def send(self, what: Letter) -> None:
        """Take a letter. Never waits, never raises."""
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True, name=f"post-{self._name}")
                self._thread.start()
            if len(self._waiting) >= WAITING_MAX:
                self._waiting.popleft()
                self.counts["dropped"] += 1
            self._waiting.append(what)
            self._changed.notify()

    def close(self) -> None:
        """Send no more, not even what waits."""
        self._closed.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=TIMEOUT_S + 1)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed.is_set())
                if self._closed.is_set():
                    return
                what = self._waiting.popleft()
            self.counts["sent" if self._deliver(what) else "failed"] += 1

    def _deliver(self, what: Letter) -> bool:
        """Try, and try again where that may help; the last failure is told, without the URL: it may hold a secret."""
        for wait_s in (*self._waits_s, None):
            fault, again = _try(what)
            if not fault:
                return True
            if not again or wait_s is None or self._closed.wait(wait_s):
                break
        log.warning("%s: %s: %s; given up", self._name, _host(what.url), fault)
        return False


def _try(what: Letter) -> tuple[str, bool]:
    """Why it failed ("": it did not), and whether another try may help."""
    if not what.url.startswith(("http://", "https://")):
        return "not an http:// or https:// address", False
    try:
        asked = urllib.request.Request(what.url, what.body, dict(what.headers), method="POST")
        with _OPENER.open(asked, timeout=TIMEOUT_S) as answer:
            answer.read(1024)
    except urllib.error.HTTPError as e:
        e.close()
        return f"status {e.code}", e.code >= 500 or e.code in LATER
    except Exception as e:  # no such host, refused, too slow, no HTTP at all, or a URL that is none
        return type(e).__name__, not isinstance(e, ValueError)
    return "", True


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "?"
    except ValueError:
        return "?"
