"""The load generator against a small server of known behaviour."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tasks.capacity import closed_loop
from tasks.capacity.closed_loop import Address, Load, Taken, run
from tasks.capacity.requests import posts

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
BUSY = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n"
LAST = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
BODIES = [b'{"n": %d}' % n for n in range(20)]
Answer = Callable[[bytes], Awaitable[bytes]]


class Server:
    """Reads requests by their length and answers each with what `answer` gives; b"" hangs up."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.seen = answer, list[bytes]()
        self.inside = self.most_inside = self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                body = await reader.readexactly(length)
                self.seen.append(body)
                self.inside += 1
                self.most_inside = max(self.most_inside, self.inside)
                try:
                    said = await self.answer(body)
                finally:
                    self.inside -= 1
                if not said:
                    return
                writer.write(said)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def load(answer: Answer, concurrency: int, seconds: float = 0.3) -> tuple[Taken, Server, list[int]]:
    edges: list[int] = []

    async def go() -> tuple[Taken, Server]:
        server = Server(answer)
        listening = await asyncio.start_server(server, "127.0.0.1", 0)
        address = Address(*listening.sockets[0].getsockname()[:2])
        made = Load(address, posts(BODIES, "localhost", {"X-Test": "1"}), concurrency)
        taken = await run(made, seconds=seconds, warm_s=0.1, edge=lambda: edges.append(len(server.seen)))
        listening.close()
        return taken, server

    return *asyncio.run(go()), edges


async def at_once(_: bytes) -> bytes:
    return OK


async def after_20_ms(_: bytes) -> bytes:
    await asyncio.sleep(0.02)
    return OK


def test_every_client_has_one_request_in_flight_and_sends_the_next_body() -> None:
    taken, server, (first, last) = load(after_20_ms, 3)
    assert (server.most_inside, server.connections) == (3, 3)
    assert server.seen == [BODIES[n % len(BODIES)] for n in range(len(server.seen))]
    assert not taken.failed and min(taken.latencies_s) >= 0.019
    assert abs(len(taken.latencies_s) - (last - first)) <= 3, "only what was answered within the window counts"
    assert taken.window_s >= 0.3


def test_answers_in_several_pieces_are_one_answer() -> None:
    async def pieces(_: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"

    taken, server, _ = load(pieces, 2)
    assert taken.latencies_s and not taken.failed and server.connections == 2


def test_refusals_are_counted_by_status_and_have_no_latency() -> None:
    async def every_second(body: bytes) -> bytes:
        return OK if int(body[6:-1]) % 2 else BUSY

    taken, _, _ = load(every_second, 1)
    assert set(taken.failed) == {"status 429"}
    assert abs(taken.failed["status 429"] - len(taken.latencies_s)) <= 1


def test_a_server_that_closes_after_each_answer_is_met_anew() -> None:
    async def once(_: bytes) -> bytes:
        return LAST

    taken, server, _ = load(once, 2)
    assert not taken.failed and server.connections >= len(taken.latencies_s) > 2


def test_a_server_that_hangs_up_is_counted_and_met_anew() -> None:
    async def hangs_up(body: bytes) -> bytes:
        return OK if int(body[6:-1]) % 2 else b""

    taken, server, _ = load(hangs_up, 1)
    assert set(taken.failed) == {"connection lost"} and taken.latencies_s and server.connections > 2


def test_what_is_no_http_is_counted() -> None:
    async def other(_: bytes) -> bytes:
        return b"220 smtp ready\r\n\r\n"

    taken, _, _ = load(other, 1)
    assert not taken.latencies_s and all(why.startswith("not HTTP") for why in taken.failed)


def test_nobody_listens() -> None:
    async def go() -> Taken:
        listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        address = Address(*listening.sockets[0].getsockname()[:2])
        listening.close()
        await listening.wait_closed()
        return await run(Load(address, [b"x"], 2), seconds=0.2, warm_s=0.0)

    taken = asyncio.run(go())
    assert not taken.latencies_s and all(why.startswith("cannot connect") for why in taken.failed) and taken.failed


def test_a_server_that_never_answers_does_not_hold_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed_loop, "PATIENCE_S", 0.2)

    async def never(_: bytes) -> bytes:
        await asyncio.sleep(5)
        return OK

    taken, _, _ = load(never, 2, seconds=0.1)
    assert not taken.latencies_s and taken.failed["no answer within 0.2 s"] == 1


def test_a_server_slower_than_the_window_is_looked_at_for_longer() -> None:
    async def slow(_: bytes) -> bytes:
        await asyncio.sleep(0.5)
        return OK

    taken, _, _ = load(slow, 2, seconds=0.05)
    assert taken.latencies_s and not taken.failed
    assert taken.window_s > 0.3
