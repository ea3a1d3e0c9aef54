"""A measurement that needs a process of its own: a module here run as `python -m`, which prints one JSON object."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tasks.core.errors import ArtifactError

ROOT = Path(__file__).resolve().parents[2]


def ask(module: str, *arguments: object) -> dict[str, Any]:
    """What the module prints; ArtifactError with its last words when it fails."""
    paths = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH", "")) if p)
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise ArtifactError(f"{module} {' '.join(map(str, arguments))}: {said[-1]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
