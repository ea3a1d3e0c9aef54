"""A little load on a running server, every answer checked against the models that its headers name."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType

import httpx
import numpy as np

from tests import made_package

IMAGES = np.random.default_rng(6).integers(0, 256, (2, 1, 8, 8), dtype=np.uint8)


@dataclass
class Load:
    """`seeds` says which package a generation serves; it may grow while the load runs."""

    base_url: str
    seeds: Mapping[int, int | None]
    answered: Counter[tuple[int, str]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    lost: int = 0

    def __enter__(self) -> Load:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(i,)) for i in range(3)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Ask no more, and wait for what is in flight."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, at: int) -> None:
        with httpx.Client(base_url=self.base_url, timeout=30, trust_env=False) as client:
            i = at
            while not self._stop.is_set():
                i += 3
                try:
                    answer = client.post("/predict", json={"inputs": IMAGES.tolist(), "user_id": f"u{i % 97}"})
                except httpx.TransportError:
                    self.lost += 1
                    continue
                self._check(answer)
                time.sleep(0.01)

    def _check(self, answer: httpx.Response) -> None:
        if answer.status_code != 200:
            self.faults.append(f"{answer.status_code} {answer.text[:200]}")
            return
        generation, role = int(answer.headers["X-Stillroom-Generation"]), answer.headers["X-Stillroom-Variant"]
        got, seed = answer.json(), self.seeds[generation]
        if (got["variant"], got["model"]) != (role, answer.headers["X-Stillroom-Model"]):
            self.faults.append(f"headers {dict(answer.headers)}, answer {got}")
        if not np.allclose(got["probabilities"], made_package.expected(role, IMAGES, seed=seed), atol=1e-5):
            self.faults.append(f"generation {generation}, {role}: not the answer of its model")
        self.answered[generation, role] += 1
