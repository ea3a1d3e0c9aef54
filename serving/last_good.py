"""What this server last served by the control row, on disk: a worker that starts while the row, the store or a model is
broken begins with it. A respawned worker must not bring back what was rolled back.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from serving.control.broken import fault
from serving.control.state import State
from serving.shapes import Frozen

log = logging.getLogger("bentoml.stillroom")


class LastGood(Frozen):
    """A row that was served, and where it stood."""

    store: str
    state: State


def place() -> Path:
    """One file a server: in its BENTOML_HOME."""
    home = os.environ.get("BENTOML_HOME") or Path.home() / "bentoml"
    return Path(home) / "stillroom" / "last_good.json"


def remember(where: Path, good: LastGood) -> None:
    """Write it whole or not at all. A full disk is told and costs nothing else."""
    scratch = where.with_name(f".{where.name}.{os.getpid()}")
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        with scratch.open("w", encoding="utf-8") as file:
            file.write(good.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(where)
    except OSError as e:
        log.warning("%s: cannot be written (%s); a worker that starts anew may not know what was served", where, e)
        with suppress(OSError):
            scratch.unlink()


def recall(where: Path, store: str | None = None) -> State | None:
    """The row that was served last (from `store`); None when there is none, or it is unreadable, which is told."""
    try:
        good = LastGood.model_validate_json(where.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as e:
        log.warning("%s: cannot be read (%s)", where, e)
        return None
    except ValidationError as e:
        log.warning("%s", fault(str(where), e))
        return None
    return good.state if store in (None, good.store) else None
