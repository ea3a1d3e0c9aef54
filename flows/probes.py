"""What `stillroom doctor` measures: small readings of the machine and the checkout, which change nothing."""

from __future__ import annotations

import configparser
import fcntl
import json
import os
import shutil
import socket
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any


def dvc_config(root: Path) -> configparser.ConfigParser | None:
    """.dvc/config with .dvc/config.local over it; None when DVC is not initialised. Raises configparser.Error."""
    config = configparser.ConfigParser(interpolation=None)
    read = config.read([root / ".dvc" / "config", root / ".dvc" / "config.local"], encoding="utf-8")
    return config if read else None


def cpu_quota(cgroup: Path) -> float | None:
    """The cores that a container may use at most, from cgroup v2 or v1; None when nothing limits it."""
    if (cgroup / "cpu.max").exists():
        quota, period = (cgroup / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    if (cgroup / "cpu/cpu.cfs_quota_us").exists():
        quota_us = int((cgroup / "cpu/cpu.cfs_quota_us").read_text())
        return quota_us / int((cgroup / "cpu/cpu.cfs_period_us").read_text()) if quota_us > 0 else None
    return None


def memory_limit(cgroup: Path) -> int | None:
    """The bytes that a container may use at most, from cgroup v2 or v1; None when nothing limits it."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        if (cgroup / name).exists() and (found := (cgroup / name).read_text().strip()).isdecimal():
            return int(found)
    return None


def cpu_flags(cpuinfo: Path) -> set[str]:
    """The instruction sets of the first processor that Linux lists; empty elsewhere."""
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), ":")
    return set(flags.partition(":")[2].split())


def lock_owners(rwlock: Path) -> dict[int, str]:
    """Who reads or writes outputs, by process id, from DVC's own record. Raises ValueError when it is damaged."""
    if not rwlock.exists():
        return {}
    record: dict[str, dict[str, Any]] = json.loads(rwlock.read_text(encoding="utf-8") or "{}")
    entries = [*record.get("write", {}).values(), *(e for many in record.get("read", {}).values() for e in many)]
    return {int(entry["pid"]): str(entry["cmd"]) for entry in entries if entry}


def lock_held(lock: Path) -> bool:
    """Whether another process holds the repository lock; the file alone means nothing."""
    if not lock.exists():
        return False
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def port_taken(port: int) -> bool:
    """Whether something listens on 127.0.0.1:port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def version(package: str) -> str | None:
    """The installed version of a package; None when it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def usable_cores() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def git(root: Path, *arguments: str) -> str:
    """What a git command prints at `root`; empty when it fails or git is not installed."""
    if shutil.which("git") is None:
        return ""
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.strip()
