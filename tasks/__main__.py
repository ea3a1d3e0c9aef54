"""`python -m tasks STEP [VARIANT]`: the single seam that DVC, Prefect and a person use to run one step.

One step is one process: torch's random state is global, and a step that dies takes nothing else with it.
"""

import os
import sys
import threading
import time
from importlib import import_module
from pathlib import Path

from tasks.core import worked
from tasks.core.errors import StillroomError, nearest

PER_VARIANT = ("build", "evaluate")
ONCE = ("prepare", "bench", "choose", "package", "report")  # PER_VARIANT and these are the stages of dvc.yaml
BY_HAND = ("handful", "track", "promote", "rollback", "fetch", "follow", "mark", "autoscale")
USAGE = f"usage: python -m tasks STEP [VARIANT]; STEP is one of {', '.join((*PER_VARIANT, *ONCE, *BY_HAND, 'schemas'))}"

# Idle OpenMP threads that spin cost four times the work on a busy machine; set before any numeric library loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what CUDA asks for bitwise equal repeats


def end_with(driver: int) -> None:
    """Stop this process within a second of the end of process `driver`, so that a killed flow leaves no step behind."""
    import psutil

    def watch() -> None:
        while True:
            try:
                alive = psutil.Process(driver).status() != psutil.STATUS_ZOMBIE
            except psutil.NoSuchProcess:
                alive = False
            if not alive:
                os._exit(75)  # EX_TEMPFAIL: DVC records nothing for a step that did not exit with 0
            time.sleep(0.5)

    threading.Thread(target=watch, daemon=True, name="end-with-driver").start()


def write_to(log: Path) -> None:
    """Send everything this process prints, C++ libraries included, to a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(target, stream.fileno())
    os.close(target)


def run(step: str, *variant: str) -> None:
    """Run one step; StillroomError when its name or its argument is wrong, or the step itself fails."""
    if step == "schemas" and not variant:
        import_module("tasks.schemas").run()
        return
    allowed = (*PER_VARIANT, *ONCE, *BY_HAND)
    if step not in allowed:
        raise StillroomError(f"no step called {step!r}{nearest(step, allowed)}\n{USAGE}")
    if len(variant) != (step in PER_VARIANT):
        raise StillroomError(f"{step}: takes {'one variant' if step in PER_VARIANT else 'no variant'}\n{USAGE}")
    if step != "build" and int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ:
        raise StillroomError(f"{step}: runs in one process; `torchrun` is for `build`")
    from tasks.plan import load

    settings = load()
    if variant and variant[0] not in settings.plan.variants:
        rows = settings.plan.variants
        raise StillroomError(
            f"{step}: no row called {variant[0]!r}; rows: {', '.join(rows)}{nearest(variant[0], rows)}"
        )
    import_module(f"tasks.{step}").run(settings, *variant)


def main(arguments: list[str]) -> int:
    """Run one step and return its exit status: 0, or a StillroomError's own after printing its message.

    Where its log is asked for, what it worked is noted beside that.
    """
    noted: Path | None = None
    if os.environ.get("STILLROOM_DRIVER"):
        end_with(int(os.environ["STILLROOM_DRIVER"]))
    if os.environ.get("STILLROOM_LOGS") and os.environ.get("RANK", "0") == "0":
        stage = os.environ.get("DVC_STAGE") or "@".join(arguments)
        log = Path(os.environ["STILLROOM_LOGS"]) / f"{stage}.log"
        write_to(log)
        noted = worked.file_of(log)
        noted.unlink(missing_ok=True)
    if not arguments:
        print(USAGE, file=sys.stderr)
        return 2
    try:
        run(*arguments)
    except StillroomError as e:
        print(e, file=sys.stderr)
        return e.exit_status
    if noted:
        worked.note(noted)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
