"""A keeper process."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers.servers import free_port, running


@contextmanager
def running_keeper(env: Mapping[str, str], log: Path) -> Iterator[int]:
    """The port of its admin API."""
    port = free_port()
    command = [sys.executable, "-m", "serving.keeper", "--port", str(port)]
    with running(command, env, port, "/healthz", log):
        yield port
