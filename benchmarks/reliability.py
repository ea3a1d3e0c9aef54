"""Minutes of load on two real workers and the keeper, while everything around them breaks, one thing after another.

    python -m benchmarks.reliability --seconds 25 > table.md     (as root: a small disk that can be filled is a tmpfs)

Every answer is checked against the model that it names. *Lost*: no answer came back. *Failed*: one with another status
than 200. *Wrong*: not what the named model gives, or from a model that must not be served.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.trouble.load import Window
from benchmarks.trouble.steps import STEPS
from benchmarks.trouble.system import system


def main() -> None:
    """Run all of it, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=25, help="of each trouble, at least")
    parser.add_argument("--only", nargs="*", default=list(STEPS), help="of the troubles")
    given = parser.parse_args()
    rows: list[tuple[str, Window, str]] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        root, disk = Path(folder), Path(folder) / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], check=True)
        stack.callback(subprocess.run, ["umount", "-l", str(disk)], check=False)
        on = stack.enter_context(system(root, disk))
        for name in given.only:
            on.load.cut()
            what = STEPS[name](on, given.seconds)
            rows.append((name, on.load.cut(), what))
            print(f"{name}: {rows[-1][1]} {what}", file=sys.stderr, flush=True)
    print("| what happens | s | requests | lost | failed | wrong | p95 ms | and |\n" + "| --- " * 8 + "|")
    for name, w, what in rows:
        cells = f"{w.seconds:.0f} | {w.requests} | {w.lost} | {w.failed} | {w.wrong} | {w.p95_ms:.0f} | {what}"
        print(f"| {name} | {cells} |")
    for fault in [fault for _, w, _ in rows for fault in w.faults[:3]]:
        print(f"- {fault}", file=sys.stderr)


if __name__ == "__main__":
    main()
