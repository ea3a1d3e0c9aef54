"""Starts the BentoML service over the champion's package, in a BENTOML_HOME of its own."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from tasks.core import artifact
from tasks.core.errors import ArtifactError, StillroomError

HOMES = Path(".stillroom/bentoml")


def package(candidate: bool) -> Path:
    """The folder to serve: what is chosen now, or what the registry calls the champion."""
    if candidate:
        if not (artifact.PACKAGE / "manifest.json").exists():
            raise ArtifactError(f"{artifact.PACKAGE}: not there yet; `stillroom run` makes it")
        return artifact.PACKAGE
    done = subprocess.run([sys.executable, "-m", "tasks", "fetch"], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise StillroomError("nothing is served")  # fetch has said why
    return Path(done.stdout.strip().splitlines()[-1])


def serve(*, port: int, candidate: bool) -> NoReturn:
    """Become the server, so that Ctrl-C and every other signal reach it. StillroomError when the port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise StillroomError(
                f"port {port} is taken: stop what listens there, or choose another with --port"
            ) from None
    folder = package(candidate)
    home = HOMES / str(port)  # two servers with one home delete each other's metrics
    home.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "STILLROOM_PACKAGE": str(folder.resolve()), "BENTOML_HOME": str(home.resolve())}
    print(f"serving {folder} on http://127.0.0.1:{port}  (Ctrl-C stops)", flush=True)
    service = ["serve", "serving.service:Stillroom", "--host", "127.0.0.1", "--port", str(port)]
    os.execve(sys.executable, [sys.executable, "-m", "bentoml", *service], environment)
