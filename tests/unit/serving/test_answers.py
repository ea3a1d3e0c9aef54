"""Every request that wants an answer, without a server: what is slow, what is gone, what is too much."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.answers import Answering, Answers
from serving.engine import Engine
from serving.live import Live
from serving.package import read
from serving.predict import Predict
from serving.shadow import Shadow
from serving.shapes import Shadow as Settings
from tests import made_package

IMAGES = np.zeros((1, 1, 8, 8), np.uint8)
BODY = json.dumps({"inputs": IMAGES.tolist()}).encode()
WHOLE = {"type": "http.request", "body": BODY}
Receive = Callable[[], Awaitable[Any]]


@pytest.fixture
def live(tmp_path: Path) -> Live:
    limits = {"rows": 4, "body_bytes": 20_000, "timeout_s": 0.3, "concurrency": 2}
    return Live.of(Engine(read(made_package.make(tmp_path / "package", limits=limits))))


@pytest.fixture
def app(live: Live) -> Answering:
    return Answering(Answers(live.package.rollout, lambda: live, Shadow(Settings())), Predict())


async def ask(app: Answering, receive: Receive, **headers: str) -> tuple[int, dict[bytes, bytes], Any] | None:
    """Status, headers and JSON; None for no answer at all."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    await app({"type": "http", "method": "POST", "path": "/predict", "headers": given}, receive, send)
    if not sent:
        return None
    start, body = sent
    return start["status"], dict(start["headers"]), json.loads(body["body"])


def of(*messages: Any) -> Receive:
    """The messages, and then nothing ever again."""
    left = list(messages)

    async def receive() -> Any:
        if left:
            return left.pop(0)
        return await asyncio.get_running_loop().create_future()

    return receive


def test_a_body_that_does_not_come_is_a_408_and_counted_as_refused(app: Answering, live: Live) -> None:
    half = {"type": "http.request", "body": BODY[:10], "more_body": True}
    for receive in (of(), of(half)):
        got = asyncio.run(ask(app, receive))
        assert got is not None and (got[0], got[2]) == (408, {"error": "body: not whole within 0.3 seconds"})
    tally = live.counts.tally()
    assert (tally.refused, tally.errors, tally.control.errors) == (2, 0, 0)


def test_nobody_is_answered_who_has_gone(app: Answering, live: Live) -> None:
    half = {"type": "http.request", "body": BODY[:10], "more_body": True}
    assert asyncio.run(ask(app, of(half, {"type": "http.disconnect"}))) is None
    tally = live.counts.tally()
    assert (tally.refused, tally.errors, tally.control.requests) == (0, 0, 0)
    assert asyncio.run(ask(app, of(WHOLE)))[0] == 200, "its place is free again"  # type: ignore[index]


def test_a_network_that_hangs_is_a_504_of_its_variant(
    app: Answering, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    release = threading.Event()
    monkeypatch.setattr(live.engine, "infer", lambda *_: release.wait(20) and np.full((1, 3), 1 / 3))
    try:
        got = asyncio.run(both(app, release, x_stillroom_variant="treatment"))
        assert got is not None and (got[0], got[2]) == (504, {"error": "no answer within 0.3 seconds"})
    finally:
        release.set()
    tally = live.counts.tally()
    assert (tally.treatment.errors, tally.treatment.requests, tally.control.errors) == (1, 0, 0)


async def both(app: Answering, release: Any, **headers: str) -> Any:
    got = await ask(app, of(WHOLE), **headers)
    release.set()  # before the loop ends and waits for its threads
    return got


def test_more_at_once_than_allowed_is_a_429_and_the_rest_are_answered(app: Answering) -> None:
    async def three() -> list[Any]:
        late: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def receive() -> Any:
            return await late

        waiting = [asyncio.ensure_future(ask(app, receive)) for _ in range(2)]
        await asyncio.sleep(0.01)
        third = await ask(app, of(WHOLE))
        late.set_result(WHOLE)
        return [*await asyncio.gather(*waiting), third]

    first, second, third = asyncio.run(three())
    assert (first[0], second[0]) == (200, 200)
    assert (third[0], third[2]) == (429, {"error": "requests at once: 2; allowed: 2"})


def test_a_compressed_body_is_refused(app: Answering) -> None:
    got = asyncio.run(ask(app, of(WHOLE), content_encoding="gzip"))
    assert got is not None and (got[0], got[2]) == (415, {"error": "Content-Encoding: gzip; allowed: none"})
