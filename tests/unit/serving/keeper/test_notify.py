"""Notices: what they look like to a webhook and to Prefect, and that nobody ever waits for whoever gets them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from prefect.events.schemas.events import Event

from serving.control.state import State
from serving.keeper import post
from serving.keeper.notify import Notice, Notifier, to_prefect, to_webhook
from serving.keeper.post import Letter, Post, letter
from serving.shapes import Notify

ROW = State(generation=3, package="/p", version="7", share=0.0, mode="rolled_back", by="judge")
NOTICE = Notice(
    event="stillroom.rollback", text="errors: 5 %", at_s=1_800_000_000.5, row=ROW, numbers={"errors.count": 50}
)


class Server:
    """Keeps what is posted, and answers with the next of `statuses`, then 200."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], Any]] = []
        self.statuses: list[int] = []
        self.hang = threading.Event()
        self.hang.set()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.got.append((self.path, dict(self.headers), json.loads(body)))
                server.hang.wait(10)
                self.send_response(server.statuses.pop(0) if server.statuses else 200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.hang.set()
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end, "not within 20 s"
        time.sleep(0.01)


def test_a_webhook_gets_one_flat_object_that_chat_services_show() -> None:
    found = json.loads(to_webhook("http://x", NOTICE).body)
    assert (found["event"], found["text"], found["row"]["version"]) == ("stillroom.rollback", "errors: 5 %", "7")
    assert found["at"] == "2027-01-15T08:00:00.500000+00:00" and found["numbers"] == {"errors.count": 50}


def test_prefect_gets_what_its_own_schema_takes() -> None:
    made = to_prefect("http://x/api/", NOTICE, {"PREFECT_API_KEY": "k"})
    assert made.url == "http://x/api/events" and made.headers["Authorization"] == "Bearer k"
    (content,) = json.loads(made.body)
    event = Event.model_validate(content)
    assert event.event == "stillroom.rollback" and event.resource.id == "stillroom.service"
    assert event.payload["numbers"] == {"errors.count": 50} and event.occurred.timestamp() == NOTICE.at_s
    basic = to_prefect("http://x/api", NOTICE, {"PREFECT_API_AUTH_STRING": "admin:pass"})
    assert basic.headers["Authorization"] == "Basic YWRtaW46cGFzcw=="


def test_the_environment_wins_over_the_package_and_nobody_is_asked_where_nobody_is_named(server: Server) -> None:
    notifier = Notifier({"STILLROOM_WEBHOOK": f"{server.url}/mine"})
    notifier.tell(Notify(webhook="http://127.0.0.1:9/other", prefect_api=""), NOTICE)
    until(lambda: notifier.posts["webhook"].counts["sent"] == 1)
    assert [path for path, _, _ in server.got] == ["/mine"]
    assert notifier.posts["prefect"].counts == {"sent": 0, "failed": 0, "dropped": 0}
    notifier.close()
    silent = Notifier({})
    silent.tell(Notify(), NOTICE)
    assert silent.posts["webhook"]._thread is None


def test_what_may_pass_is_tried_again_and_what_may_not_is_given_up(server: Server) -> None:
    sender = Post("test", waits_s=(0.01, 0.01))
    server.statuses = [503, 429, 200, 404, 500, 500, 500, 302]
    for i in range(4):
        sender.send(letter(server.url, i, {}))
    until(lambda: sum(sender.counts.values()) == 4)
    assert [body for _, _, body in server.got] == [0, 0, 0, 1, 2, 2, 2, 3]
    assert sender.counts == {"sent": 1, "failed": 3, "dropped": 0}
    sender.close()


def test_nobody_waits_for_a_receiver_that_hangs(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post, "WAITING_MAX", 3)
    server.hang.clear()
    sender = Post("test")
    sender.send(letter(server.url, "first", {}))
    until(lambda: len(server.got) == 1)
    for i in range(5):
        sender.send(letter(server.url, i, {}))
    assert sender.counts["dropped"] == 2, "returned while the receiver hung; the oldest went"
    server.hang.set()
    until(lambda: sender.counts["sent"] == 4)
    assert [body for _, _, body in server.got] == ["first", 2, 3, 4]
    sender.close()


def test_an_address_that_answers_nothing_is_told_without_the_secret_in_it(caplog: pytest.LogCaptureFixture) -> None:
    sender = Post("webhook", waits_s=())
    for url in ("http://127.0.0.1:9/secret", "file:///etc/passwd", "http://[/secret", "http://127.0.0.1:99999/secret"):
        sender.send(Letter(url, b"{}", {}))
    until(lambda: sender.counts["failed"] == 4)
    assert "webhook: 127.0.0.1: URLError; given up" in caplog.text and "secret" not in caplog.text
    sender.close()
    sender.close()


def test_closing_does_not_wait_for_further_tries(server: Server) -> None:
    server.statuses = [503] * 5
    sender = Post("test", waits_s=(30.0,))
    sender.send(letter(server.url, 1, {}))
    until(lambda: len(server.got) == 1)
    start = time.monotonic()
    sender.close()
    assert time.monotonic() - start < 5
