"""Files that a plan names and DVC does not watch: only the very bytes that the plan says are taken."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tasks.core.errors import TechniqueError


def pinned(path: Path, sha256: str | None, technique: str) -> str:
    """The SHA-256 of the file at `path`; TechniqueError when there is no such file, or it is not the plan's."""
    if not path.is_file():
        raise TechniqueError(f"{technique}: {path}: no such file; `path` counts from the project's root")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if sha256 is None:
        raise TechniqueError(
            f"{technique}: pin {path}, so that a changed file is noticed: add `sha256: {digest}` to the row"
        )
    if sha256 != digest:
        raise TechniqueError(f"{technique}: {path} has sha256 {digest}, the plan says {sha256}")
    return digest
