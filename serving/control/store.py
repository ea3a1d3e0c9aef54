"""Where the control plane is kept: one protocol, and the store that a URL names.

sqlite:///.stillroom/control/rollout.db             one host (a path of four slashes is absolute)
postgresql+psycopg://user:password@host/database    many hosts; needs the extra `postgres`
redis://:password@host:6379/0                       many hosts; needs the extra `redis`
"""

from __future__ import annotations

from typing import Protocol

from serving.control.state import Event, Presence, State
from serving.control.tally import Tally

AWAY_S = 3.0  # how long an answer may take
SCHEMES = ("sqlite:///PATH", "postgresql+psycopg://...", "redis://...", "rediss://...")


class StoreError(Exception):
    """The store is away, or what it holds is broken; the message says where and what. Callers live on without it."""


class Store(Protocol):
    """Every method raises StoreError when the store is away or its content is broken, within a few seconds.

    Safe to use from several threads.
    """

    where: str
    """Which store it is, without a password."""

    def read(self) -> State | None:
        """The row; None before there is one."""

    def swap(self, new: State, expected: int) -> bool:
        """Compare and set: True when the row's generation was `expected` (0 = no row yet) and is `new` now.

        ValueError when `new.generation` is not `expected` + 1.
        """

    def report(self, worker: str, generation: int, tally: Tally) -> None:
        """Replace what `worker` counted in `generation`: sending the same twice changes nothing."""

    def tallies(self, generation: int) -> Tally:
        """What all workers counted in `generation`."""

    def present(self, presence: Presence) -> None:
        """Replace a worker's presence; `seen_s` is set here."""

    def presences(self) -> tuple[Presence, ...]:
        """The last presence of every worker, the latest first. Compare `seen_s` with `now_s()` for its age."""

    def append(self, event: Event) -> int:
        """Add to the audit log; `id` and `at_s` are set here. The event's id."""

    def events(self, after: int = 0, limit: int = 500) -> tuple[Event, ...]:
        """Up to `limit` events with an id above `after`, oldest first."""

    def latest(self, limit: int) -> tuple[Event, ...]:
        """The last `limit` events, the latest first."""

    def first_time(self, key: str) -> bool:
        """True once for each `key`."""

    def now_s(self) -> float:
        """Unix time by the store's own clock, the same for all who ask it."""

    def forget(self, older_than_s: float) -> None:
        """Drop presences, keys and reports of old generations that are older than this. Never the row or the log."""

    def close(self) -> None:
        """Give connections back."""


def open_store(url: str, *, create: bool = False) -> Store:
    """The store that `url` names. Connects at the first use.

    Args:
        url: See above.
        create: Make what is not there yet. Only one process should (the keeper): a worker that made a removed SQLite
            file anew would put an empty one where the lost one is about to be restored.

    Raises:
        StoreError: The URL names no kind of store, or its library is absent.
    """
    if url.startswith(("sqlite:", "postgres")):
        from serving.control.sql import SqlStore

        return SqlStore(url, create=create)
    if url.startswith(("redis://", "rediss://")):
        try:
            from serving.control.redis_store import RedisStore
        except ModuleNotFoundError as e:
            raise StoreError(f"control.url: redis://: needs {e.name}; pip install 'stillroom[redis]'") from None
        return RedisStore(url)
    raise StoreError(f"control.url: {url.partition('://')[0][:40]!r}; allowed: {', '.join(SCHEMES)}")
