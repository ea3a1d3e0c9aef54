"""Runs the steps of a rehearsal, each in a process forked from this one, which has imported what they need.

    python -m tasks.rehearse KIND

Most of what a step takes on a handful of rows is its imports. Forked, it begins at once and is still a process of its
own. One line of JSON on stdin asks for a step; one on stdout answers. Ends when stdin does. `flows.host` is the caller.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Final

import psutil

from tasks.__main__ import main, write_to
from tasks.core.rehearsal import VARIABLE, Order, Ready, Taken

# What the steps of a kind import at last, wherever in them it stands. None of it computes anything when it is imported:
# threads that do would be missing in a fork. The private names are where PyTorch's exporter spends its first seconds.
IMPORTS: Final = {
    "build": (
        *("tasks.build", "tasks.core.fit", "onnxruntime", "torch._dynamo", "torch.export._trace"),
        *("torch.onnx._internal.exporter._core", "onnxscript.function_libs.torch_lib.ops", "onnxscript.rewriter"),
    ),
    "rest": ("tasks.evaluate", "tasks.bench", "onnxruntime", "scipy.stats", "fairlearn.metrics"),
}


def serve(kind: str) -> None:
    """Import, say so, and answer orders until there are no more."""
    for name in IMPORTS[kind]:
        with suppress(ModuleNotFoundError):  # the step that needs it says so; here it is a matter of speed alone
            import_module(name)
    print(Ready(seconds=time.process_time()).model_dump_json(), flush=True)
    for line in sys.stdin:
        print(run(Order.model_validate_json(line)).model_dump_json(), flush=True)


def run(order: Order) -> Taken:
    """Run one step in a fork; how it ended and what it took. Its peak of memory has in it what is imported here.

    A fork holds its parent's pages of libraries' files only once it touches them; a process of its own reads them all.
    What it did not touch is therefore added to its peak.
    """
    began = time.perf_counter()
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        _be(order, theirs)
    _, status, usage = os.wait4(child, 0)
    os.write(theirs, b" ")  # so that there is something to read where the step was killed
    touched = os.read(ours, 64).strip()
    os.close(ours)
    os.close(theirs)
    untouched = max(0, of_files() - int(touched)) if touched else 0
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) + untouched
    return Taken(
        status=os.waitstatus_to_exitcode(status),
        wall_s=time.perf_counter() - began,
        worked_s=usage.ru_utime + usage.ru_stime,
        peak_mb=peak / 1e6,
    )


def of_files() -> int:
    """Bytes of files that this process holds in memory, libraries above all; 0 where the system does not say."""
    return int(getattr(psutil.Process().memory_info(), "shared", 0))


def _be(order: Order, told: int) -> None:
    """Become the step: never returns."""
    status = 1
    try:
        write_to(Path(order.log))
        os.environ[VARIABLE] = order.laps
        status = main(list(order.step))
    except BaseException:  # what would end a step's own process with a traceback ends this one with it too
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(told, str(of_files()).encode())
        os._exit(status)


if __name__ == "__main__":
    serve(*sys.argv[1:])
