"""The shadow: what is compared and counted, and that nothing which goes wrong there reaches a request."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving import shadow as module
from serving.control.tally import ShadowTally
from serving.engine import Engine, Model
from serving.live import Live
from serving.package import read
from serving.shadow import Shadow
from serving.shapes import Shadow as Settings
from tests import made_package

_RNG = np.random.default_rng(9)
IMAGES = (_RNG.integers(0, 256, (4, 1, 8, 8)) * (_RNG.random((4, 1, 8, 8)) < 0.15)).astype(np.uint8)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(read(made_package.make(tmp_path_factory.mktemp("shadow") / "package")))


@pytest.fixture
def live(engine: Engine) -> Live:
    return Live.of(engine)


@pytest.fixture
def shadow() -> Iterator[Callable[..., Shadow]]:
    made: list[Shadow] = []

    def make(**settings: Any) -> Shadow:
        made.append(Shadow(Settings(**{"share": 1.0, **settings})))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.close()


def offer(shadow: Shadow, live: Live, rows: int = 4) -> np.ndarray[Any, Any]:
    images = IMAGES[:rows]
    shares = live.engine.infer("treatment", {"images": images})
    shadow.offer(live, {"images": images}, shares)
    return shares


def settled(live: Live, rows: int) -> ShadowTally:
    """The tally once `rows` rows are accounted for."""
    end = time.monotonic() + 20
    while True:
        found = live.counts.tally().shadow
        if found.compared + found.dropped + found.failed >= rows:
            return found
        assert time.monotonic() < end, found
        time.sleep(0.01)


def hang(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """The next comparison says that it has begun, and waits to be released."""
    begun, released = threading.Event(), threading.Event()

    def slow(self: Model, inputs: Any) -> Any:
        begun.set()
        assert released.wait(20)
        return np.zeros((len(inputs["images"]), 3), np.float32)

    monkeypatch.setattr(Model, "logits", slow)
    return begun, released


def test_every_row_is_compared_with_the_full_models_answer(shadow: Callable[..., Shadow], live: Live) -> None:
    shares = offer(shadow(), live)
    control = made_package.expected("control", IMAGES)
    found = settled(live, 4)
    same = control.argmax(1) == shares.argmax(1)
    assert (found.compared, found.agreed) == (4, same.sum()) and 0 < found.agreed < 4
    flipped = [made_package.LABELS[i] for i in control.argmax(1)[~same]]
    assert found.flips == {label: flipped.count(label) for label in set(flipped)}
    wanted = sum(float(np.sum(p * np.log(p / q))) for p, q in zip(control, shares.astype(float), strict=True))
    assert found.kl_sum == pytest.approx(wanted, rel=1e-4)


def test_a_share_of_requests_is_compared(live: Live, shadow: Callable[..., Shadow]) -> None:
    some = shadow(share=0.25, queue=100_000)
    for _ in range(400):
        offer(some, live, rows=1)
    time.sleep(0.3)
    assert 60 < settled(live, 60).compared < 145, "100 are expected, with a standard deviation of 8.7"


def test_no_share_is_no_thread(live: Live) -> None:
    off = Shadow(Settings(share=0.0))
    off.start()
    offer(off, live)
    assert "shadow" not in {thread.name for thread in threading.enumerate()}
    assert live.counts.tally().shadow == ShadowTally()


def test_a_fault_is_counted_and_the_next_request_is_compared(
    shadow: Callable[..., Shadow], live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = shadow()
    with monkeypatch.context() as patch:
        patch.setattr(module, "compare", lambda *_: 1 / 0)
        offer(one, live)
        assert settled(live, 4).failed == 4
    offer(one, live)
    assert settled(live, 8).compared == 4


def test_a_hang_costs_comparisons_alone(
    shadow: Callable[..., Shadow], live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = shadow(queue=8)
    shares = live.engine.infer("treatment", {"images": IMAGES})
    begun, released = hang(monkeypatch)
    one.offer(live, {"images": IMAGES}, shares)
    assert begun.wait(20)
    start = time.perf_counter()
    for _ in range(10):
        one.offer(live, {"images": IMAGES}, shares)
    assert time.perf_counter() - start < 5, "it does not wait for the comparison that hangs"
    assert live.counts.tally().shadow.dropped == 8 * 4, "two requests of four rows find room"
    released.set()
    assert settled(live, 44).compared == 12


def test_requests_that_wait_are_compared_together_within_one_generation(
    shadow: Callable[..., Shadow], live: Live, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, batches = shadow(), []
    shares = live.engine.infer("treatment", {"images": IMAGES})
    begun, released = hang(monkeypatch)
    one.offer(live, {"images": IMAGES}, shares)
    assert begun.wait(20)
    later, compared = Live.of(engine), module.compare
    monkeypatch.setattr(module, "compare", lambda *given: batches.append(len(given[0])) or compared(*given))
    for of in (live, live, later):
        one.offer(of, {"images": IMAGES}, shares)
    released.set()
    assert settled(live, 12).compared == 12 and settled(later, 4).compared == 4
    assert batches == [4, 8, 4]


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="threads have priorities of their own on Linux alone")
def test_the_thread_yields_to_requests(shadow: Callable[..., Shadow], live: Live) -> None:
    offer(shadow(), live)
    settled(live, 4)
    (thread,) = (one for one in threading.enumerate() if one.name == "shadow")
    assert thread.native_id is not None
    assert os.getpriority(os.PRIO_PROCESS, thread.native_id) == 10
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) < 10


def test_a_model_that_cannot_be_loaded_anew_is_a_failed_comparison(
    shadow: Callable[..., Shadow], tmp_path: Path
) -> None:
    folder = made_package.make(tmp_path / "package")
    live = Live.of(Engine(read(folder)))
    (folder / "control.onnx").write_bytes(b"gone bad")
    offer(shadow(), live)
    assert settled(live, 4).failed == 4
