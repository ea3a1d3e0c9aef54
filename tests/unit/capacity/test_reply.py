"""Answers cut out of a stream, wherever the network happens to cut it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.capacity.reply import HEAD_MOST, Replies, ReplyError

SIZED = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: 7\r\n\r\n{"a":1}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3;name=x\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"
TRAILED = b"HTTP/1.1 504 Gateway Timeout\r\ntransfer-encoding: chunked\r\n\r\n1\r\nz\r\n0\r\nX-Late: yes\r\n\r\n"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
LAST = b"HTTP/1.0 429 Too Many Requests\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
STREAM = SIZED + CHUNKED + CONTINUE + TRAILED + EMPTY + SIZED + LAST
WANTED = [
    (200, False, b'{"a":1}'),
    (200, False, b"abc0123456789"),
    (504, False, b"z"),
    (204, False, b""),
    (200, False, b'{"a":1}'),
    (429, True, b""),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_wherever_the_stream_is_cut(cuts: list[int]) -> None:
    replies, edges = Replies(keep=True), sorted({0, *cuts, len(STREAM)})
    found = [reply for a, b in pairwise(edges) for reply in replies.feed(STREAM[a:b])]
    assert found == WANTED


def test_byte_by_byte_each_answer_comes_with_its_last_byte() -> None:
    replies, ends = Replies(keep=True), []
    for at, byte in enumerate(STREAM, 1):
        ends += [at] * len(replies.feed(bytes([byte])))
    parts = (SIZED, CHUNKED, CONTINUE + TRAILED, EMPTY, SIZED, LAST)
    assert ends == [sum(map(len, parts[: n + 1])) for n in range(len(parts))]


def test_bodies_are_not_kept_unless_asked_for() -> None:
    assert [reply.body for reply in Replies().feed(STREAM)] == [b""] * len(WANTED)


@pytest.mark.parametrize(
    ("stream", "told"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 2xx OK\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\nno length", "neither a length nor chunks"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "a chunk of size b'xyz'"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * HEAD_MOST, "a head of more than"),
    ],
)
def test_what_is_no_answer_is_said(stream: bytes, told: str) -> None:
    with pytest.raises(ReplyError, match=told):
        Replies().feed(stream)
