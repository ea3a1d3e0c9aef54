"""A steady, modest load, every answer of it checked."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import httpx
import numpy as np

from benchmarks.trouble.made import CONTROL, IMAGES, shares, treatment

CLIENTS = 4
PAUSE_S = 0.08  # of each client after each answer
BAD = "bad"  # the treatment of this name has other answers


@dataclass
class Window:
    """What came between two cuts."""

    seconds: float = 0.0
    requests: int = 0
    lost: int = 0
    failed: int = 0
    wrong: int = 0
    latencies_ms: list[float] = field(default_factory=list, repr=False)
    faults: list[str] = field(default_factory=list)

    @property
    def p95_ms(self) -> float:
        """Of the answers."""
        return float(np.percentile(self.latencies_ms, 95)) if self.latencies_ms else float("nan")


class Load:
    """Asks from some clients until it is left."""

    def __init__(self, base_url: str, root: Path) -> None:
        self._url, self._root = base_url, root
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._window, self._since = Window(), time.monotonic()
        self._seen: Counter[tuple[int, str]] = Counter()
        self._threads = [threading.Thread(target=self._ask, args=(i,)) for i in range(CLIENTS)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def cut(self) -> Window:
        """What came since the last cut."""
        with self._lock:
            done, self._window = self._window, Window()
            now = time.monotonic()
            done.seconds, self._since = now - self._since, now
            return done

    def seen(self, generation: int, role: str) -> int:
        """Answers of a generation and a role, ever."""
        return self._seen[generation, role]

    def _ask(self, at: int) -> None:
        with httpx.Client(base_url=self._url, timeout=30, trust_env=False) as client:
            while not self._stop.wait(PAUSE_S):
                at += CLIENTS
                image, began = IMAGES[at % len(IMAGES)], time.perf_counter()
                try:
                    answer = client.post("/predict", json={"inputs": [image.tolist()], "user_id": f"u{at % 997}"})
                except httpx.TransportError as e:
                    self._count("lost", f"lost: {type(e).__name__}: {e}")
                    continue
                self._check(answer, image, (time.perf_counter() - began) * 1000)

    def _check(self, answer: httpx.Response, image: np.ndarray, ms: float) -> None:  # type: ignore[type-arg]
        if answer.status_code != 200:
            self._count("failed", f"{answer.status_code} {answer.text[:200]}")
            return
        got, role = answer.json(), answer.headers["X-Stillroom-Variant"]
        name = got["model"]
        weights = CONTROL if role == "control" else treatment(name, "answers" if name == BAD else "")
        right = np.allclose(got["probabilities"][0], shares(weights, image), atol=1e-5)
        with self._lock:
            self._window.latencies_ms.append(ms)
            self._seen[int(answer.headers["X-Stillroom-Generation"]), role] += 1
        if not right or name == "corrupt" or (role == "control") != (name == "baseline"):
            self._count("wrong", f"{role} {name}: {got['probabilities']}")
        else:
            self._count("", "")

    def _count(self, what: str, fault: str) -> None:
        with self._lock:
            self._window.requests += 1
            if what:
                setattr(self._window, what, getattr(self._window, what) + 1)
                self._window.faults.append(fault)
