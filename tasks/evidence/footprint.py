"""The memory of a process that loads one model and answers.

`python -m tasks.evidence.footprint MODEL THREADS BATCH...` prints it. A process of its own, since a peak is of a
process and never falls. It holds what serving holds of the model (Python, numpy, ONNX Runtime), not the server.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import psutil

from tasks.core import artifact
from tasks.core.dataset import read_data
from tasks.evidence.engines import caller, open_model
from tasks.evidence.session import feeds_of

STATUS = Path("/proc/self/status")


def peak_bytes() -> int:
    """The most memory that this process ever held. Linux's ru_maxrss would be that of the parent, if it was larger."""
    if STATUS.exists():
        line = next(line for line in STATUS.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes on macOS


def main(model: str, threads: str, *batches: str) -> None:
    """Print {peak_memory_mb, model_memory_mb}."""
    val = read_data(artifact.DATA).split("val")
    feeds = [feeds_of(val, int(batch))[:2] for batch in batches]
    import onnxruntime  # noqa: F401  # part of what is there before the model

    before = psutil.Process().memory_info().rss
    opened = open_model("onnxruntime", Path(model), int(threads))
    for each in feeds:
        call = caller(opened, each)
        call()
        call()
    peak = peak_bytes()
    print(json.dumps({"peak_memory_mb": peak / 1e6, "model_memory_mb": max(0, peak - before) / 1e6}))


if __name__ == "__main__":
    main(*sys.argv[1:])
