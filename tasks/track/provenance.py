"""Where a run's results came from: the git commit, each row's entry of dvc.lock, and the data."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tasks.core.artifact import DATA

LOCK = Path("dvc.lock")


def git_tags() -> dict[str, str]:
    """`git.commit` and `git.dirty`; both `unknown` outside a git checkout or before the first commit."""
    commit, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain")
    if commit is None or changes is None:
        return {"git.commit": "unknown", "git.dirty": "unknown"}
    return {"git.commit": commit, "git.dirty": str(bool(changes)).lower()}


def lock_hashes() -> dict[str, str]:
    """The MD5 of each stage's entry of dvc.lock in canonical JSON: equal hashes mean equal inputs and outputs."""
    if not LOCK.exists():
        return {}
    stages: dict[str, Any] = (yaml.safe_load(LOCK.read_text(encoding="utf-8")) or {}).get("stages", {})
    return {name: hashlib.md5(json.dumps(entry, sort_keys=True).encode()).hexdigest() for name, entry in stages.items()}


def data_digest() -> str:
    """What the prepared data are told by: the MD5 of `prepare` in dvc.lock, else of what describes them."""
    described = DATA / "data.json"
    if "prepare" in (found := lock_hashes()):
        return found["prepare"]
    return hashlib.md5(described.read_bytes()).hexdigest() if described.exists() else "unknown"


def sha256(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _git(*arguments: str) -> str | None:
    """What git prints, or None when there is no git, no checkout or no commit."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
