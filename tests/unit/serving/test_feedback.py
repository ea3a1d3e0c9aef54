"""Tickets and the labels that come back with them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving.engine import Engine
from serving.feedback import Outcome, take
from serving.live import Live
from serving.package import read
from serving.refusal import Refused
from serving.ticket import ENVIRONMENT, Ticket, Tickets
from tests import made_package

TICKETS = Tickets("a key that nobody guesses")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(read(made_package.make(tmp_path_factory.mktemp("feedback") / "package")))


@pytest.fixture
def live(engine: Engine) -> Live:
    return Live.of(engine)


def once() -> Callable[[str], bool]:
    seen: set[str] = set()
    return lambda key: not (key in seen or seen.add(key))


def ticket(live: Live, role: Any = "treatment", classes: tuple[int, ...] = (0, 1, 2)) -> str:
    return TICKETS.write(live.package.manifest_sha256, role, classes)


def sent(ticket: Any, labels: Any) -> bytes:
    return json.dumps({"ticket": ticket, "labels": labels}).encode()


@pytest.mark.parametrize("role", ["control", "treatment"])
def test_a_ticket_holds_what_was_answered(role: Any) -> None:
    sealed = TICKETS.write("ab" * 32, role, [0, 65_535, 3])
    read_back = TICKETS.read(sealed)
    assert read_back == Ticket("ab" * 8, role, read_back.number, (0, 65_535, 3))
    assert TICKETS.read(TICKETS.write("ab" * 32, role, [0])).number != read_back.number
    assert len(TICKETS.write("ab" * 32, role, [0])) <= 44, "it travels in a header"


def test_any_changed_byte_and_any_other_key_is_refused() -> None:
    sealed = base64.urlsafe_b64decode(TICKETS.write("ab" * 32, "control", [1]))
    for i in range(len(sealed)):
        changed = bytes(byte ^ (1 if k == i else 0) for k, byte in enumerate(sealed))
        with pytest.raises(Refused, match="not one that this service gave"):
            TICKETS.read(base64.urlsafe_b64encode(changed).decode())
    for nonsense in ("", "a", "ä", "A" * 44, "!" * 44, base64.b64encode(sealed[:-1]).decode()):
        with pytest.raises(Refused):
            TICKETS.read(nonsense)
    with pytest.raises(Refused):
        Tickets("another key, just as long").read(TICKETS.write("ab" * 32, "control", [1]))


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    assert Tickets.from_environment() is None
    monkeypatch.setenv(ENVIRONMENT, "short")
    with pytest.raises(ValueError, match="5 characters; allowed: at least 16"):
        Tickets.from_environment()
    monkeypatch.setenv(ENVIRONMENT, "a key that nobody guesses")
    one = Tickets.from_environment()
    assert one is not None and one.read(TICKETS.write("ab" * 32, "control", [1])).classes == (1,)


def test_labels_are_counted_for_the_variant_that_answered(live: Live) -> None:
    first = once()
    assert take(sent(ticket(live), ["zero", "two", None]), live, TICKETS, first) == Outcome(2, 1)
    assert take(sent(ticket(live, "control", (2,)), ["two"]), live, TICKETS, first) == Outcome(1, 1)
    tally = live.counts.tally()
    assert (tally.treatment.right, tally.treatment.wrong) == (1, 1)
    assert (tally.control.right, tally.control.wrong) == (1, 0)


def test_a_ticket_counts_once(live: Live) -> None:
    first, one = once(), ticket(live)
    take(sent(one, ["zero", "one", "two"]), live, TICKETS, first)
    with pytest.raises(Refused, match="counts once") as refused:
        take(sent(one, ["zero", "one", "two"]), live, TICKETS, first)
    assert refused.value.status == 409
    assert live.counts.tally().treatment.right == 3


def test_labels_for_what_is_served_no_more_are_not_counted(live: Live, tmp_path: Path) -> None:
    after = Live.of(Engine(read(made_package.make(tmp_path / "package", treatment_share=0.25))))
    found = take(sent(ticket(live), ["a", "label", "of before"]), after, TICKETS, once())
    assert (found.counted, found.why) == (0, "the package that answered is no longer served")
    assert after.counts.tally().treatment.right == 0


def test_another_generation_of_the_same_package_counts(live: Live, engine: Engine) -> None:
    later = Live.of(engine)
    assert take(sent(ticket(live), ["zero"] * 3), later, TICKETS, once()) == Outcome(3, 1)
    assert later.counts.tally().treatment.wrong == 2 and live.counts.tally().treatment.wrong == 0


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        (["zero"], "labels: 1 labels; allowed: a list of 3"),
        ("zero", "labels: a string; allowed: a list of 3"),
        (["zero", "four", None], r"labels\[1\]: 'four'; allowed: zero, one, two, or null"),
        (["zero", 1, None], r"labels\[1\]: '1'; allowed: zero, one, two, or null"),
    ],
)
def test_labels_that_do_not_fit_are_named_and_leave_the_ticket_good(live: Live, labels: Any, fault: str) -> None:
    first, one = once(), ticket(live)
    with pytest.raises(Refused, match=fault):
        take(sent(one, labels), live, TICKETS, first)
    assert take(sent(one, [None] * 3), live, TICKETS, first) == Outcome(0, 0)


@pytest.mark.parametrize(
    ("body", "status", "fault"),
    [
        (b"{", 400, "body: not JSON"),
        (b"[]", 422, "body: is a list"),
        (b'{"ticket": "a"}', 422, r"body: is keys \['ticket'\]"),
        (b'{"ticket": 1, "labels": []}', 422, "ticket: is a number"),
        (b'{"ticket": "a", "labels": []}', 422, "ticket: not one"),
    ],
)
def test_a_body_that_is_no_feedback_is_named(live: Live, body: bytes, status: int, fault: str) -> None:
    with pytest.raises(Refused, match=fault) as refused:
        take(body, live, TICKETS, once())
    assert refused.value.status == status


def test_without_a_key_there_is_no_feedback(live: Live) -> None:
    with pytest.raises(Refused, match="STILLROOM_TICKET_KEY is not set") as refused:
        take(sent("a", []), live, None, once())
    assert refused.value.status == 403
