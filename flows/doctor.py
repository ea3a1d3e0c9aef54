"""`stillroom doctor`: examines this machine and this checkout, and prints what it found with what to do about it.

Nothing heavy is imported and nothing is changed. flows/probes.py measures; flows/findings.py judges the machine and the
packages; what to make of git and DVC is said here.
"""

from __future__ import annotations

import configparser
import dataclasses
import json
import os
import platform
import shutil
import tomllib
from collections.abc import Mapping
from importlib import util
from pathlib import Path

import psutil
from packaging.requirements import Requirement
from rich.console import Console
from rich.table import Table

from flows import findings, probes
from flows.environment import quiet
from flows.findings import Finding

PORTS = {3000: "`stillroom serve`", 4200: "Prefect of `stillroom ui`", 5000: "MLflow of `stillroom ui`"}
COLOURS = {"ok": "green", "warn": "yellow", "bad": "red"}


def git(installed: bool, commit: str, identity: str) -> Finding:
    """Whether runs can be told apart by commit, and the next one committed; empty means there is none."""
    if not installed:
        return Finding("git", "bad", "not installed", "`apt install git`; DVC stands on it")
    if not commit:
        return Finding(
            "git", "warn", "no commit yet", "`git init`, `git add -A`, `git commit`: MLflow tags runs with it"
        )
    if not identity:
        return Finding(
            "git", "warn", f"at {commit}, no identity", "`git config user.email you@example.org`, user.name too"
        )
    return Finding("git", "ok", f"at {commit}, as {identity}", "nothing to do")


def dvc(config: configparser.ConfigParser | None) -> list[Finding]:
    """Whether DVC is set up here, and has somewhere to push to; None: there is no .dvc/config."""
    if config is None:
        return [Finding("DVC", "bad", "not initialised", "`make init`, or `dvc init`; runs have no cache without it")]
    remote = config.get("core", "remote", fallback="")
    where = config.get(f"'remote \"{remote}\"'", "url", fallback="")
    if remote and where:
        return [Finding("DVC remote", "ok", f"{remote}: {where}", "`dvc push --run-cache` shares what was computed")]
    if remote:
        return [Finding("DVC remote", "bad", f"{remote}, which has no url", f"`dvc remote add -f {remote} URL`")]
    return [Finding("DVC remote", "ok", "none", "needed to share results only: `dvc remote add -d NAME URL`")]


def dvc_lock(held: bool, owners: Mapping[int, str], living: set[int]) -> Finding:
    """Whether another DVC is at work, or one was killed; `owners` are the commands in .dvc/tmp/rwlock by process."""
    dead = [f"{command} (process {pid})" for pid, command in owners.items() if pid not in living]
    busy = [f"{command} (process {pid})" for pid, command in owners.items() if pid in living]
    if held or busy:
        found = ", ".join(busy) or "held"
        return Finding("DVC lock", "warn", found, "wait for it; `dvc --wait-for-lock` does, plain dvc gives up in 3 s")
    if dead:
        return Finding("DVC lock", "warn", f"left by {', '.join(dead)}", "harmless: the next DVC command clears it")
    return Finding("DVC lock", "ok", "free", "nothing to do")


def dvc_state(root: Path) -> tuple[configparser.ConfigParser | None, list[Finding]]:
    """DVC's settings, and what there is to say about them and its locks; None where it has none that can be read."""
    try:
        config = probes.dvc_config(root)
    except configparser.Error as e:
        return None, [Finding("DVC", "bad", " ".join(str(e).split()), "mend .dvc/config: git has its last good form")]
    try:
        owners = probes.lock_owners(root / ".dvc/tmp/rwlock")
    except ValueError:
        damaged = Finding("DVC lock", "bad", "damaged record", "with no DVC at work: `rm .dvc/tmp/rwlock`")
        return config, [*dvc(config), damaged]
    living = {pid for pid in owners if psutil.pid_exists(pid)}
    return config, [*dvc(config), dvc_lock(probes.lock_held(root / ".dvc/tmp/lock"), owners, living)]


def checks(root: Path | None = None) -> list[Finding]:
    """Everything there is to say about this machine and the checkout at `root` (default: the working directory)."""
    root = root or Path.cwd()
    if not (root / "pyproject.toml").exists() or not (root / "dvc.yaml").exists():
        return [Finding("checkout", "bad", f"no dvc.yaml in {root}", "run it from within a checkout of Stillroom")]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    installed = {Requirement(r).name: probes.version(Requirement(r).name) for r in project["dependencies"]}
    quota = probes.cpu_quota(Path("/sys/fs/cgroup"))
    spec = util.find_spec("mlflow")
    config, dvc_findings = dvc_state(root)
    phone_home = {k: v for k, v in quiet().items() if any(word in k for word in ("TRACK", "ANALYTICS", "TELEMETRY"))}
    analytics = config.get("core", "analytics", fallback="true") if config else "false"
    name, email = probes.git(root, "config", "user.name"), probes.git(root, "config", "user.email")
    identity = email if name and email else ""
    return [
        findings.python(platform.python_version(), project["requires-python"]),
        *findings.packages(project["dependencies"], installed),
        findings.mlflow(spec.origin if spec else None, root),
        findings.processor(os.cpu_count() or 1, probes.usable_cores(), quota, os.getloadavg()[0]),
        *findings.instructions(probes.cpu_flags(Path("/proc/cpuinfo"))),
        findings.gpu(shutil.which("nvidia-smi") is not None or Path("/dev/nvidia0").exists(), installed.get("torch")),
        findings.disk(shutil.disk_usage(root).free),
        git(shutil.which("git") is not None, probes.git(root, "rev-parse", "--short", "HEAD"), identity),
        *dvc_findings,
        *findings.ports({port: probes.port_taken(port) for port in PORTS}, PORTS),
        findings.telemetry(os.environ, phone_home, analytics),
    ]


def show(as_json: bool = False) -> int:
    """Print every finding; the exit status, 1 when one is bad."""
    found = checks()
    if as_json:
        print(json.dumps([dataclasses.asdict(f) for f in found], indent=2))
        return int(any(f.state == "bad" for f in found))
    table = Table("", "what", "found", "what to do", box=None, pad_edge=False)
    for f in found:
        table.add_row(
            f"[{COLOURS[f.state]}]{f.state}[/]", *(text.replace("[", "\\[") for text in (f.name, f.found, f.advice))
        )
    console = Console()
    console.print(table)
    bad, warn = (sum(f.state == state for f in found) for state in ("bad", "warn"))
    console.print(
        f"{len(found)} checks: {bad} bad, {warn} to look at" if bad or warn else f"{len(found)} checks, all well"
    )
    return int(bad > 0)
