"""The control plane in Redis (6 or newer). Every change is one script (redis_scripts.py).

Turn persistence on (`appendonly yes`): the row and the audit log are meant to outlive the server. All keys share one
hash tag, so a cluster keeps them together.
"""
# ruff: noqa: D102 (what each method does stands in `Store`)

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from serving.control import redis_scripts as scripts
from serving.control.broken import parsed
from serving.control.redis_scripts import EVENTS, KEYS, PRESENCES, REPORTED, SEEN, STATE, TALLIES
from serving.control.state import Event, Presence, State
from serving.control.store import AWAY_S, Store, StoreError
from serving.control.tally import Tally, merged


class RedisStore(Store):
    """See `store.Store`."""

    def __init__(self, url: str) -> None:
        at = urlsplit(url)
        self.where = f"{at.scheme}://{at.hostname or ''}{f':{at.port}' if at.port else ''}{at.path}"
        try:
            self._redis: Any = redis.Redis.from_url(
                url,
                decode_responses=True,
                socket_timeout=AWAY_S,
                socket_connect_timeout=AWAY_S,
                health_check_interval=1,  # a connection that a restarted server has dropped is found before it is used
                retry=Retry(NoBackoff(), 0),  # an event that is sent twice would stand in the log twice
            )
        except ValueError as e:
            raise StoreError(f"control.url: {self.where}: {e}") from None

    def read(self) -> State | None:
        with self._told():
            body = self._redis.hget(STATE, "body")
            return None if body is None else parsed(State, body, f"{self.where}: the row")

    def swap(self, new: State, expected: int) -> bool:
        if new.generation != expected + 1:
            raise ValueError(f"generation {new.generation} after {expected}: it goes up by one")
        return bool(self._run(scripts.SWAP, [STATE], expected, new.generation, new.model_dump_json()))

    def report(self, worker: str, generation: int, tally: Tally) -> None:
        self._run(scripts.REPORT, [f"{TALLIES}{generation}", REPORTED], worker, tally.model_dump_json(), generation)

    def tallies(self, generation: int) -> Tally:
        with self._told():
            bodies = self._redis.hvals(f"{TALLIES}{generation}")
            return merged(parsed(Tally, body, f"{self.where}: a tally") for body in bodies)

    def present(self, presence: Presence) -> None:
        self._run(scripts.PRESENT, [PRESENCES, SEEN], presence.worker, presence.model_dump_json())

    def presences(self) -> tuple[Presence, ...]:
        with self._told():
            bodies = self._redis.hgetall(PRESENCES)
            seen = self._redis.zrevrange(SEEN, 0, -1, withscores=True)
            where = f"{self.where}: a presence"
            return tuple(
                parsed(Presence, bodies[worker], where).model_copy(update={"seen_s": seen_s})
                for worker, seen_s in seen
                if worker in bodies
            )

    def append(self, event: Event) -> int:
        return int(self._run(scripts.APPEND, [EVENTS], event.model_dump_json(exclude={"id", "at_s"})))

    def events(self, after: int = 0, limit: int = 500) -> tuple[Event, ...]:
        with self._told():
            lines = self._redis.lrange(EVENTS, after, after + limit - 1)  # the id is the place in the list, from 1
            return tuple(self._event(i, line) for i, line in enumerate(lines, after + 1))

    def latest(self, limit: int) -> tuple[Event, ...]:
        with self._told():
            count, lines = self._redis.pipeline().llen(EVENTS).lrange(EVENTS, -limit, -1).execute()
            return tuple(reversed([self._event(i, line) for i, line in enumerate(lines, count - len(lines) + 1)]))

    def first_time(self, key: str) -> bool:
        return bool(self._run(scripts.FIRST, [KEYS], key))

    def now_s(self) -> float:
        with self._told():
            seconds, micros = self._redis.time()
            return float(seconds) + float(micros) / 1e6

    def forget(self, older_than_s: float) -> None:
        self._run(scripts.FORGET, [STATE, PRESENCES, SEEN, KEYS, REPORTED], older_than_s, TALLIES)

    def close(self) -> None:
        self._redis.close()

    def _event(self, at: int, line: str) -> Event:
        at_s, _, body = line.partition(" ")
        event = parsed(Event, body, f"{self.where}: event {at}")
        return event.model_copy(update={"id": at, "at_s": float(at_s)})

    def _run(self, script: str, keys: list[str], *arguments: object) -> Any:
        with self._told():
            return self._redis.eval(script, len(keys), *keys, *arguments)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as e:
            raise StoreError(f"{self.where}: {str(e)[:300]}") from e
        except ValueError as e:
            raise StoreError(str(e)) from None
