"""Where a measurement ran: the processor, its flags that matter for INT8 and BF16, cores, load and versions."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tasks.core.results import Machine

X86 = "avx2 avx512f avx512bw avx512vl avx512_vnni avx_vnni avx_vnni_int8 avx512_bf16 amx_tile amx_int8 amx_bf16"
ARM = "asimd asimddp i8mm bf16 sve sve2 sme"
FLAGS = (*X86.split(), *ARM.split())
PACKAGES = ("numpy", "onnx")
OPTIONAL = ("onnxruntime", "onnxruntime-gpu", "openvino")


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> tuple[str, tuple[str, ...]]:
    """The processor's name and which `FLAGS` it has; away from Linux the name alone."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine(), ()
    about = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    has = set((about.get("flags") or about.get("features") or "").split())
    return about.get("model name") or platform.machine(), tuple(flag for flag in FLAGS if flag in has)


def usable_cores() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine(load_before: float, load_after: float) -> Machine:
    """The record; loads are one-minute averages (runnable processes) before and after the measurement."""
    cpu, flags = cpu_model()
    versions = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    for name in OPTIONAL:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return Machine(
        cpu=cpu,
        flags=flags,
        cores=usable_cores(),
        load_before=round(load_before, 2),
        load_after=round(load_after, 2),
        versions=versions,
    )
