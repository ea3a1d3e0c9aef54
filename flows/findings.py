"""What `stillroom doctor` makes of what it measured: pure judgements, each a finding with what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

State = Literal["ok", "warn", "bad"]

SYMPTOMS = {
    "bentoml": "the resolver falls back to an old one when OpenTelemetry's pins clash; the service needs this one",
    "fastapi": "with a newer FastAPI the Prefect server cannot start (`Body() got an unexpected keyword argument`)",
    "sqlalchemy": "with SQLAlchemy 2.1 Prefect's scheduler fails in silence: schedules never create runs",
}
INT8 = {
    "amx_int8": "AMX",
    "avx512_vnni": "AVX512-VNNI",
    "avx_vnni": "AVX-VNNI",
    "i8mm": "Arm i8mm",
    "asimddp": "Arm dot product",
}
BF16 = {"amx_bf16": "AMX", "avx512_bf16": "AVX512-BF16", "bf16": "Arm BF16"}
DISK_WARN_GB, DISK_BAD_GB = 10, 2


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's table; `advice` says what to do, or why nothing needs doing."""

    name: str
    state: State
    found: str
    advice: str


def python(version: str, requires: str) -> Finding:
    """Whether this Python is one that the pins were made for."""
    if SpecifierSet(requires).contains(version):
        return Finding("Python", "ok", version, "nothing to do")
    return Finding("Python", "bad", version, f"needs {requires}: `rm -r .venv && make venv PYTHON=python3.11`")


def packages(requires: Sequence[str], installed: Mapping[str, str | None]) -> list[Finding]:
    """One finding for each package that is missing or out of its bounds; a single good one when all fit."""
    findings = []
    for requirement in map(Requirement, requires):
        version = installed[requirement.name]
        if version is not None and requirement.specifier.contains(version, prereleases=True):
            continue
        why = SYMPTOMS.get(requirement.name.lower(), "the pins are the set that was tested together")
        found = f"{version or 'not installed'}, wanted {requirement.specifier}"
        findings.append(Finding(requirement.name, "bad", found, f"{why}; `rm -f .venv/ready; make venv` mends it"))
    return findings or [Finding("packages", "ok", f"all {len(requires)} within their bounds", "nothing to do")]


def mlflow(origin: str | None, root: Path) -> Finding:
    """Whether `import mlflow` finds the library; `origin` is the file it would load, None for a bare folder."""
    if origin is None:
        return Finding("MLflow import", "bad", "a folder without the library", "MLflow is not installed: `make venv`")
    if Path(origin).is_relative_to(root / "mlflow"):
        return Finding("MLflow import", "bad", f"{origin} shadows the library", "delete it: mlflow/ holds config only")
    return Finding("MLflow import", "ok", "the library, not the folder mlflow/", "nothing to do")


def processor(cores: int, usable: int, quota: float | None, load_1m: float) -> Finding:
    """How many cores the steps may use (affinity, container quota) and whether others use them now."""
    limit = min(float(usable), quota if quota is not None else float(usable))
    found = f"{limit:g} of {cores} cores usable, load {load_1m:.1f}"
    if load_1m > 0.5 * limit:
        return Finding("processor", "warn", found, "latencies want a quiet machine: wait, or stop what else runs")
    if limit < 2:
        return Finding("processor", "warn", found, "rows cannot be built side by side: `stillroom run --workers 1`")
    if limit < cores:
        return Finding("processor", "ok", found, f"keep --workers x the plan's threads within {limit:g}")
    return Finding("processor", "ok", found, f"up to `stillroom run --workers {int(limit)}` at one thread a step")


def instructions(flags: Iterable[str]) -> list[Finding]:
    """Whether the processor multiplies INT8 and bf16 by itself; without, INT8 models may be slower than FP32."""
    have = set(flags)
    if not have:
        return [Finding("INT8", "warn", "unknown: no /proc/cpuinfo", "trust only what `bench` measures here")]
    int8 = [name for flag, name in INT8.items() if flag in have]
    bf16 = [name for flag, name in BF16.items() if flag in have]
    slow = "INT8 makes models smaller here, hardly faster; measure on the machine that will serve"
    return [
        Finding("INT8", "ok", ", ".join(int8), "nothing to do")
        if int8
        else Finding("INT8", "warn", "no VNNI, AMX or dot product", slow),
        Finding("bf16", "ok", ", ".join(bf16), "nothing to do")
        if bf16
        else Finding("bf16", "ok", "none", "training runs in float32; nothing to do"),
    ]


def disk(free_bytes: int) -> Finding:
    """Whether the disk has room for the rows, DVC's copy of each, and MLflow's."""
    free_gb = free_bytes / 1e9
    state: State = "bad" if free_gb < DISK_BAD_GB else "warn" if free_gb < DISK_WARN_GB else "ok"
    room = "make room: `dvc gc --workspace` drops cached rows that no plan here needs"
    return Finding("disk", state, f"{free_gb:.1f} GB free", "nothing to do" if state == "ok" else room)


def ports(taken: Mapping[int, bool], uses: Mapping[int, str]) -> list[Finding]:
    """One finding a port that something of ours listens on by default."""
    return [
        Finding(f"port {port}", "warn", "taken", f"is it {uses[port]} already? else give another port, or stop that")
        if busy
        else Finding(f"port {port}", "ok", "free", f"{uses[port]} can use it")
        for port, busy in taken.items()
    ]


def gpu(driver: bool, torch_version: str | None) -> Finding:
    """Whether there is an NVIDIA GPU, and a torch that can train on it."""
    cpu_only = torch_version is None or torch_version.endswith("+cpu")
    if driver and cpu_only:
        advice = f"torch {torch_version} cannot use it; its CUDA build trains faster. Measuring stays on the CPU"
        return Finding("GPU", "warn", "NVIDIA", advice)
    if driver:
        return Finding("GPU", "ok", "NVIDIA", "training uses it; measuring stays on the CPU")
    return Finding("GPU", "ok", "none", "training runs on the processor; nothing to do")


def telemetry(environment: Mapping[str, str], wanted: Mapping[str, str], dvc_analytics: str) -> Finding:
    """Whether everything that phones home is off: the variables of flows/environment.py, and DVC's own setting."""
    on = [key for key, value in wanted.items() if environment.get(key, "").lower() != value.lower()]
    on += ["dvc core.analytics"] if dvc_analytics.lower() != "false" else []
    if on:
        return Finding(
            "telemetry", "warn", f"not off: {', '.join(on)}", "`dvc config core.analytics false`, and export the rest"
        )
    return Finding("telemetry", "ok", "off", "nothing to do")
