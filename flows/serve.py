"""`stillroom serve`: the BentoML service, its rollout's keeper and the follower of MLflow's champion, kept running.

One supervisor of a checkout keeps a rollout. A second server over the same control plane starts a service alone, which
serves what the row says, and takes the keeper over when the first one ends.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows import supervise, tokens
from flows.lease import Lease
from flows.servers import Asked, follower, keeper, service
from flows.supervise import Kept
from tasks.core import artifact
from tasks.core.errors import ArtifactError, StillroomError

LOOK_S = 0.2


def package(candidate: bool) -> Path:
    """The folder to serve: what is chosen now, or what the registry calls the champion."""
    if candidate:
        if not (artifact.PACKAGE / "manifest.json").exists():
            raise ArtifactError(f"{artifact.PACKAGE}: not there yet; `stillroom run` makes it")
        return artifact.PACKAGE
    fetch = [sys.executable, "-m", "tasks", "fetch"]
    done = subprocess.run(fetch, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise StillroomError("nothing is served")  # fetch has said why
    return Path(done.stdout.strip().splitlines()[-1])


def control(folder: Path) -> str:
    """The URL of the control plane that a package's servers follow; empty = none."""
    if (given := os.environ.get("STILLROOM_CONTROL")) is not None:
        return given
    try:
        return str(json.loads((folder / "rollout.json").read_bytes()).get("control", {}).get("url", ""))
    except (OSError, ValueError, AttributeError) as e:
        raise ArtifactError(f"{folder / 'rollout.json'}: {e}; `python -m tasks package` writes it") from None


def serve(*, port: int, admin_port: int, candidate: bool, workers: int | None) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP, and leave no process behind.

    Raises:
        StillroomError: A port is taken, there is nothing to serve, or a server ended before it ever answered.
    """
    if port == admin_port:
        raise StillroomError(f"port {port}: wanted by both --port and --admin-port")
    claim(port, "--port")
    folder = package(candidate)
    asked = Asked(folder, port, admin_port, "candidate" if candidate else folder.name, control(folder), workers)
    lease = Lease(asked.control)
    if asked.control:
        if lease.take(asked.keeper):
            claim(admin_port, "--admin-port")
        else:
            say(f"the keeper at {lease.holder()} keeps this rollout already: its row says what is served here, too;")
            say("  `stillroom rollout offer` offers another package")
    say(f"serving {folder} on http://127.0.0.1:{port}  (Ctrl-C stops)")
    with _stopping() as stopped:
        kept = [Kept(service(asked), say)]
        try:
            if lease.held:
                kept += _keepers(asked, first=True)
            while not stopped.wait(LOOK_S):
                if asked.control and not lease.held and lease.take(asked.keeper):
                    say(f"the keeper of this rollout is gone; this one takes over, on {asked.keeper}")
                    kept += _keepers(asked, first=False)
                for one in kept:
                    one.look()
        finally:
            supervise.stop(kept)
            lease.free()


def _keepers(asked: Asked, *, first: bool) -> list[Kept]:
    """The keeper, and the follower of the registry where the champion is served."""
    secrets = {name: tokens.made(name) for name in (tokens.ADMIN, tokens.FOLLOWER)}
    say(f"keeper on {asked.keeper}; the token for changes is in {tokens.FOLDER}/ (`stillroom rollout` reads it)")
    kept = [Kept(keeper(asked, secrets, first=first), say)]
    return kept if asked.version == "candidate" else [*kept, Kept(follower(asked, secrets), say)]


def claim(port: int, option: str) -> None:
    """StillroomError when the port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise StillroomError(
                f"port {port} is taken: stop what listens there, or choose another with {option}"
            ) from None


def say(text: str) -> None:
    """A line for whoever watches the terminal, at once."""
    print(text, flush=True)


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """An event that SIGINT, SIGTERM and a closed terminal set; what is ignored, as by nohup, stays so."""
    stopped = threading.Event()
    names = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) != signal.SIG_IGN]
    kept = {name: signal.signal(name, lambda *_: stopped.set()) for name in names}
    try:
        yield stopped
    finally:
        for name, handler in kept.items():
            signal.signal(name, handler)
