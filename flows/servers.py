"""The servers of `stillroom serve`: what each is started with. Each gets the secrets that it needs, and no other."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flows import tokens
from flows.supervise import Server

HOMES = Path(".stillroom/bentoml")
FETCHED = Path(".stillroom/serving")  # where `python -m tasks fetch` and the follower put packages
OVERRIDES = "BENTOML_CONFIG_OVERRIDES"


@dataclass(frozen=True)
class Asked:
    """What `stillroom serve` was asked for. `version`: of the registry, or `candidate`; `control`: empty = none."""

    folder: Path
    port: int
    admin_port: int
    version: str
    control: str
    workers: int | None = None

    @property
    def keeper(self) -> str:
        """Where the keeper listens."""
        return f"http://127.0.0.1:{self.admin_port}"


def service(asked: Asked) -> Server:
    """BentoML, with a home of its own: two servers with one home delete each other's metrics."""
    home = HOMES / str(asked.port)
    home.mkdir(parents=True, exist_ok=True)
    env = {**_environment(asked), "BENTOML_HOME": str(home.resolve())}
    if asked.control:
        env[tokens.TICKETS] = tokens.made(tokens.TICKETS)
    if asked.workers is not None:
        env[OVERRIDES] = _with_workers(os.environ.get(OVERRIDES, ""), asked.workers)
    where = ("--host", "127.0.0.1", "--port", str(asked.port))
    command = (sys.executable, "-m", "bentoml", "serve", "serving.service:Stillroom", *where)
    return Server("service", command, env, ready=f"http://127.0.0.1:{asked.port}/readyz")


def keeper(asked: Asked, secrets: Mapping[str, str], *, first: bool) -> Server:
    """The one process that moves the row. The first one offers its package; one that comes back takes the row as is."""
    home = HOMES / "keeper"
    home.mkdir(parents=True, exist_ok=True)
    own = {"BENTOML_HOME": str(home.resolve()), "STILLROOM_FETCHED": str(FETCHED.resolve())}
    env = {**_environment(asked), **secrets, **own}
    command = (sys.executable, "-m", "serving.keeper", "--port", str(asked.admin_port))
    offering = (*command, "--offer") if first else command
    return Server("keeper", offering, env, again=command, ready=f"{asked.keeper}/healthz", vital=first)


def follower(asked: Asked, secrets: Mapping[str, str]) -> Server:
    """What offers the champion of the registry to the keeper, and writes to the registry what became of it."""
    own = {"STILLROOM_KEEPER": asked.keeper, tokens.FOLLOWER: secrets[tokens.FOLLOWER]}
    env = {**_environment(asked), **own, "STILLROOM_DRIVER": str(os.getpid())}
    return Server("follower", (sys.executable, "-m", "tasks", "follow"), env, vital=False)


def _environment(asked: Asked) -> dict[str, str]:
    """Ours, without its secrets."""
    kept = {key: value for key, value in os.environ.items() if key not in tokens.ALL}
    return {
        **kept,
        "STILLROOM_PACKAGE": str(asked.folder.resolve()),
        "STILLROOM_VERSION": asked.version,
        "STILLROOM_CONTROL": asked.control,
        "STILLROOM_PARENT": str(os.getpid()),
    }


def _with_workers(overrides: str, workers: int) -> str:
    """BentoML's overrides, with the number of workers laid over them."""
    given = json.loads(overrides) if overrides else {}
    services = given.get("services", {})
    own = {**services.get("stillroom", {}), "workers": workers}
    return json.dumps({**given, "services": {**services, "stillroom": own}})
