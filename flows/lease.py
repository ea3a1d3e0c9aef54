"""Which supervisor of this checkout keeps a rollout: one at a time, and the next one when it ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from hashlib import sha256
from pathlib import Path

FOLDER = Path(".stillroom") / "control"


class Lease:
    """A lock on the keeper of one control plane, which the kernel frees with its process; it holds the keeper's URL."""

    def __init__(self, control: str) -> None:
        self._path = FOLDER / f"{sha256(control.encode()).hexdigest()[:12]}.keeper"
        self._file: int | None = None

    @property
    def held(self) -> bool:
        """Whether this process has it."""
        return self._file is not None

    def take(self, address: str) -> bool:
        """Try to get it, and leave `address` for those who ask for the keeper."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        os.ftruncate(file, 0)
        os.write(file, address.encode())
        self._file = file
        return True

    def holder(self) -> str:
        """Where the keeper of whoever has it listens."""
        return self._path.read_text(encoding="utf-8")

    def free(self) -> None:
        """Give it back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def newest() -> str:
    """Where the keeper that was started last in this checkout listens, or listened; empty when there was none."""
    found = sorted(FOLDER.glob("*.keeper"), key=lambda path: path.stat().st_mtime)
    return found[-1].read_text(encoding="utf-8") if found else ""
