"""One client of the load generator: it sends its next request the moment the last one is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import cast

from tasks.capacity.reply import Replies, ReplyError


class Client(asyncio.Protocol):
    """One connection, one request in flight.

    `record` gets the fault of each, or "", and how long it took in seconds; `gone` is done when the connection is lost.
    """

    def __init__(self, requests: Iterator[bytes], record: Callable[[str, float], None]) -> None:
        self._requests, self._record = requests, record
        self._transport: asyncio.Transport | None = None
        self._replies = Replies()
        self._began = 0.0
        self._waits = self._stopped = False
        self.gone = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Record what is answered, and send the next request; what is no HTTP ends the connection."""
        try:
            replies = self._replies.feed(data)
        except ReplyError as e:
            self._failed(str(e))
            return
        for reply in replies:
            self._waits = False
            self._record("" if reply.status == 200 else f"status {reply.status}", perf_counter() - self._began)
            if self._stopped or reply.closes:
                self._close()
            else:
                self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Record a request that is not answered any more."""
        if self._waits:
            self._failed("connection lost")
        if not self.gone.done():
            self.gone.set_result(None)

    def stop(self) -> None:
        """Send nothing more; close when the request in flight is answered."""
        self._stopped = True
        if not self._waits:
            self._close()

    def abandon(self, why: str) -> None:
        """Give up a request that nobody answers."""
        if self._waits:
            self._failed(why)

    def _send(self) -> None:
        assert self._transport is not None
        self._waits, self._began = True, perf_counter()
        self._transport.write(next(self._requests))

    def _failed(self, why: str) -> None:
        self._waits = False
        self._record(why, perf_counter() - self._began)
        self._close()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
