"""An example plan under several seeds: accuracy as mean and spread, beside size and measured latency.

    STILLROOM_DATA=... python benchmarks/seeds.py fashion_mnist --folder runs --seeds 7 8 9 > table.md

Each seed gets a folder with the example as its params/. What is built there is not built again, so that a run goes on
where it was cut off. Latency is measured last, alone, on the first seed's variants; `--no-bench` leaves it out.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from flows.environment import quiet
from flows.leaving import leaving

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "params/examples"


def lay_out(folder: Path, example: str, seed: int, threads: int) -> list[str]:
    """Put the example's files, with this seed, into `folder`/params; returns the variants in the plan's order."""
    (folder / "params").mkdir(parents=True, exist_ok=True)
    for file in EXAMPLES.joinpath(example).glob("*.yaml"):
        shutil.copy2(file, folder / "params")
    for name in ("rollout.yaml", "promotion.yaml", "schedule.yaml"):
        shutil.copy2(ROOT / "params" / name, folder / "params")
    plan = folder / "params/plan.yaml"
    text = re.sub(r"(?m)^seed: .*$", f"seed: {seed}", plan.read_text(encoding="utf-8"))
    plan.write_text(re.sub(r"(?m)^threads: .*$", f"threads: {threads}", text), encoding="utf-8")
    return re.findall(r"(?m)^  ([a-z]\w*): +\{from:", text)


def step(folder: Path, *arguments: str) -> bool:
    """Run one step there, its output into logs/; whether it ended well."""
    log = folder / "logs" / f"{'_'.join(arguments)}.log"
    log.parent.mkdir(exist_ok=True)
    environment = {**os.environ, **quiet(), "PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "PASSIVE"}
    with log.open("w") as out:
        command = [sys.executable, "-m", "tasks", *arguments]
        done = subprocess.run(command, cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT, check=False)
    print(f"{folder.name}: {' '.join(arguments)}: {'done' if done.returncode == 0 else 'FAILED'}", file=sys.stderr)
    return done.returncode == 0


def build(folder: Path, variants: list[str]) -> None:
    """Build and evaluate what is not there yet. A row whose parent failed fails too, and says so in its log."""
    if not (folder / "artifacts/data/data.json").exists() and not step(folder, "prepare"):
        raise SystemExit(f"{folder}/logs/prepare.log says why the data could not be prepared")
    for name in variants:
        built = (folder / "artifacts" / name / "card.json").exists() or step(folder, "build", name)
        if built and not (folder / "reports" / f"{name}.json").exists():
            step(folder, "evaluate", name)


def read(path: Path) -> Any:
    """The JSON file, or None when there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def spread(values: list[float]) -> str:
    """Mean and, of several, standard deviation, in per cent."""
    return f"{100 * mean(values):.2f}" + (f" ± {100 * stdev(values):.2f}" if len(values) > 1 else "")


def table(folders: list[Path], variants: list[str]) -> str:
    """Markdown: a line for each variant. Drops are against the same seed's reference, the plan's first row; coded MB
    are the bytes of model.srz, where a row has one."""
    bench = read(folders[0] / "results/bench.json")
    batches = [t["batch"] for t in bench["timings"][variants[0]]] if bench else []
    head = ["row", "technique", "test %", "drop, points", "MB", "smaller", "coded MB"]
    lines = [[*head, *(f"latency ratio, batch {b}" for b in batches)]]
    lines.append(["---"] * len(lines[0]))
    for name in variants:
        found = [(read(f / f"reports/{name}.json"), read(f / f"reports/{variants[0]}.json")) for f in folders]
        pairs = [(mine, base) for mine, base in found if mine and base]
        if not pairs:
            lines.append([name, "failed or not built", *[""] * (len(lines[0]) - 2)])
            continue
        card = read(next(f for f in folders if (f / f"reports/{name}.json").exists()) / f"artifacts/{name}/card.json")
        ours = [mine["test"]["accuracy"] for mine, _ in pairs]
        drops = [base["test"]["accuracy"] - mine["test"]["accuracy"] for mine, base in pairs]
        size, least = mean(m["size_bytes"] for m, _ in pairs), mean(b["size_bytes"] for _, b in pairs)
        timings = bench["timings"].get(name, []) if bench else []
        ratios = [f"{t['value']:.3f} [{t['low']:.3f}, {t['high']:.3f}]" for t in (x["ratio"] for x in timings)]
        coded = card["facts"].get("srz_bytes")
        sizes = [f"{size / 1e6:.3f}", f"{least / size:.1f}x", f"{coded / 1e6:.3f}" if coded else ""]
        lines.append([name, card["technique"], spread(ours), spread(drops), *sizes, *ratios])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def leaving_table(folders: list[Path], variants: list[str]) -> str:
    """Markdown: of every row whose work depends on the data row, where these leave; empty without such a row.

    Shares and work are means over the seeds that have the place (an exit may be cut off); the ratio is as in `table`.
    """
    bench, lines = read(folders[0] / "results/bench.json"), []
    for name in variants:
        cards = [card for f in folders if (card := read(f / f"artifacts/{name}/card.json"))]
        found = [leave for card in cards if (leave := leaving(name, card["facts"], None))]
        if not found:
            continue
        shares: dict[str, list[float]] = {}
        for leave in found:
            for place in leave.places:
                shares.setdefault(place.name, []).append(place.share)
        histogram = ", ".join(f"{place}: {spread(values)} % ({len(values)})" for place, values in shares.items())
        ratio = bench["timings"][name][0]["ratio"] if bench and name in bench["timings"] else None
        latency = f"{ratio['value']:.3f} [{ratio['low']:.3f}, {ratio['high']:.3f}]" if ratio else ""
        lines.append(f"| {name} | {histogram} | {spread([leave.work for leave in found])} | {latency} |")
    head = ["| row | rows of val that leave (seeds) | expected work, % | mean latency ratio |", "| --- " * 4 + "|"]
    return "\n".join([*head, *lines]) if lines else ""


def main() -> None:
    """Build all, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("example", choices=sorted(p.parent.name for p in EXAMPLES.glob("*/plan.yaml")))
    parser.add_argument("--folder", type=Path, required=True, help="where to work; one folder for each seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8, 9])
    parser.add_argument("--rows", nargs="+", help="these rows alone; the plan's first always")
    parser.add_argument("--threads", type=int, default=2, help="for each seed")
    parser.add_argument("--workers", type=int, default=1, help="seeds side by side")
    parser.add_argument("--no-bench", action="store_true", help="do not measure latency")
    asked = parser.parse_args()
    folders = [(asked.folder / f"{asked.example}_{seed}").resolve() for seed in asked.seeds]
    laid_out = [
        lay_out(folder, asked.example, seed, asked.threads) for folder, seed in zip(folders, asked.seeds, strict=True)
    ]
    variants = [v for k, v in enumerate(laid_out[0]) if not asked.rows or k == 0 or v in asked.rows]
    with ThreadPoolExecutor(asked.workers) as pool:
        list(pool.map(lambda folder: build(folder, variants), folders))
    if not asked.no_bench and not (folders[0] / "results/bench.json").exists():
        step(folders[0], "bench")
    print(table(folders, variants))
    if leave := leaving_table(folders, variants):
        print(f"\n{leave}")


if __name__ == "__main__":
    main()
