"""A real keeper's HTTP face on a free port, over a SQLite store, and clients of it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn

from serving.control.state import State
from serving.control.store import Store, open_store
from serving.keeper.admin import Admin
from serving.keeper.audit import Audit
from serving.keeper.status import routes
from serving.keeper.token import Tokens
from serving.keeper.wake import Wake

ADMIN, FOLLOWER = "correct horse battery", "staple staple staple"


@dataclass
class Live:
    """A keeper's port and the store behind it."""

    url: str
    store: Store

    def set(self, **changes: object) -> State:
        """The next row, as the keeper itself would move it."""
        before = self.store.read()
        plain: dict[str, object] = {"generation": 1, "package": "/p", "version": "1", "share": 0.1, "by": "keeper"}
        new = (
            State.model_validate({**plain, **changes})
            if before is None
            else before.next(by="keeper", reason="", since_s=0.0, **changes)
        )
        assert self.store.swap(new, new.generation - 1)
        return new


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    store = open_store(f"sqlite:///{tmp_path / 'rollout.db'}", create=True)
    tokens = Tokens(ADMIN, FOLLOWER)
    found = [{"rule": "p95", "outcome": "harm", "sentence": "[slow] answers", "numbers": {}}]
    more = (Wake(Audit(store), tokens).route, *routes(store, (0.1, 0.5), lambda: tuple(found)))
    app = Admin(store, tokens, more).app
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield Live(f"http://127.0.0.1:{listening.getsockname()[1]}", store)
        server.should_exit = True
        thread.join()
    store.close()
