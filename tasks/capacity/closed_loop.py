"""The load generator: c connections, each of which sends its next request the moment the last one is answered.

*Coordinated omission*: a closed loop sends less when the service is slow, so its latencies are those of c patient
clients and not of the world outside; `station` says what arrivals at random would meet.
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from time import perf_counter
from typing import NamedTuple

from tasks.capacity.client import Client

PATIENCE_S = 30.0
RECONNECT_S = 0.05


class Address(NamedTuple):
    """Where the service listens."""

    host: str
    port: int


@dataclass
class Taken:
    """What one run saw between its warm-up and its end: latencies of answers with status 200, and all else by name."""

    window_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def silent(self) -> bool:
        """Whether nothing came back, neither an answer nor a refusal."""
        return not self.latencies_s and not self.failed


class Load:
    """`concurrency` clients against `address`; `run` starts and ends them."""

    def __init__(self, address: Address, requests: Sequence[bytes], concurrency: int) -> None:
        self._address, self._concurrency = address, concurrency
        self._requests = cycle(requests)
        self._clients: set[Client] = set()
        self._open = True
        self.taken = Taken()
        self._counts = False

    def begin(self) -> None:
        """Count from now on."""
        self._counts, self._since = True, perf_counter()

    def end(self) -> None:
        """Count no more."""
        self._counts = False
        self.taken.window_s = perf_counter() - self._since

    async def clients(self) -> None:
        """Keep the connections up until `stop`, a broken one anew."""
        await asyncio.gather(*(self._client() for _ in range(self._concurrency)))

    def stop(self) -> None:
        """Let every request in flight be answered, and close."""
        self._open = False
        for client in tuple(self._clients):
            client.stop()

    def abandon(self) -> None:
        """Close at once."""
        for client in tuple(self._clients):
            client.abandon(f"no answer within {PATIENCE_S:g} s")

    async def _client(self) -> None:
        loop = asyncio.get_running_loop()
        while self._open:
            try:
                _, client = await loop.create_connection(lambda: Client(self._requests, self._record), *self._address)
            except OSError as e:
                self._record(f"cannot connect: {e.strerror or e}", 0.0)
                await asyncio.sleep(RECONNECT_S)
                continue
            self._clients.add(client)
            if not self._open:
                client.stop()
            await client.gone
            self._clients.discard(client)

    def _record(self, failed: str, seconds: float) -> None:
        if not self._counts:
            return
        if failed:
            self.taken.failed[failed] += 1
        else:
            self.taken.latencies_s.append(seconds)


async def run(load: Load, *, seconds: float, warm_s: float, edge: Callable[[], None] = lambda: None) -> Taken:
    """Load the service for `warm_s` uncounted and `seconds` counted; `edge` is called where the counting begins, ends.

    Counting goes on until something came back, for up to PATIENCE_S. What is in flight at the end is waited for, and
    not counted; a request that nobody answers fails the run's level.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        working = asyncio.ensure_future(load.clients())
        await asyncio.sleep(warm_s)
        edge()
        load.begin()
        await asyncio.sleep(seconds)
        until = perf_counter() + PATIENCE_S
        while load.taken.silent and perf_counter() < until:  # so slow that it takes a longer look
            await asyncio.sleep(seconds)
        load.end()
        edge()
        load.stop()
        done, _ = await asyncio.wait({working}, timeout=PATIENCE_S)
        if not done:
            load.taken.failed[f"no answer within {PATIENCE_S:g} s"] += 1
            load.abandon()
        await working
    finally:
        if collects:
            gc.enable()
    return load.taken
