"""Latency ratios of an example's rows from networks of the same shapes that have learnt next to nothing.

    python benchmarks/shapes.py mobilenet --skip int8_mixed

What a network answers does not change how long it takes, as long as its shapes and kernels are the same: each row is
made by its own technique on random pictures, its trainings cut short as a rehearsal's are, and all are raced as `bench`
does. The pictures have CIFAR-10's shape, so only examples on it will do. Not for rows whose shapes depend on what was
learnt (pruning over all layers, mixed precision, exits): skip them.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from tasks.core.contract import Data, Graph, Network, Split
from tasks.core.errors import nearest
from tasks.core.export import LOGITS, export, session
from tasks.core.median import median_interval
from tasks.core.preprocess import Preprocess
from tasks.core.race import Laps, Opener, race
from tasks.core.shape import build_like
from tasks.core.timing import round_ratios
from tasks.plan import load_plan, plugin
from tasks.plan.schema import Plan
from tasks.plan.shorten import shortened

ROOT = Path(__file__).resolve().parents[1]
ROWS, SHAPE, CLASSES = 256, (3, 32, 32), 10
ROUND_MS = 5.0


def fitting() -> list[str]:
    """The examples on CIFAR-10: no other has inputs of SHAPE."""
    plans = sorted(ROOT.glob("params/examples/*/plan.yaml"))
    return [p.parent.name for p in plans if yaml.safe_load(p.read_text("utf-8"))["data"].get("name") == "cifar10"]


def noise() -> Data:
    """Random pictures with random labels."""
    draw = np.random.default_rng(0)
    shape = (ROWS, *SHAPE)
    split = Split({"image": draw.integers(0, 256, shape, dtype=np.uint8)}, draw.integers(0, CLASSES, ROWS))
    how = Preprocess(
        kind="image", channels=SHAPE[0], height=SHAPE[1], width=SHAPE[2], mean=(128.0,) * 3, std=(64.0,) * 3
    )
    return Data(split, [str(k) for k in range(CLASSES)], how, calibration=split, val=split, test=split)


def graphs(plan: Plan, data: Data, skip: list[str]) -> dict[str, Any]:
    """The ONNX graph of every row but those to skip, in the plan's order."""
    models: dict[str, Network | Graph] = {}
    found: dict[str, Any] = {}
    for name, row in plan.variants.items():
        if name in skip or row.parent in skip:
            continue
        technique = plugin("techniques", row.technique)
        torch.manual_seed(plan.seed)
        above = models.get(row.parent) or build_like({"arch": plan.model.arch, **plan.model.params}, data)
        parent = Graph(found[row.parent]) if technique.TAKES == "onnx" else above
        models[name] = technique.apply(parent, data, shortened(row.params)).model
        model = models[name]
        found[name] = model.proto if isinstance(model, Graph) else export(model, data)
        print(f"{name}: made", flush=True)
    return found


def opener(proto: Any, data: Data, batches: tuple[int, ...]) -> Opener:
    """Opens a graph on one thread, with a call a batch size."""
    feeds = [{name: np.ascontiguousarray(x[:batch]) for name, x in data.train.inputs.items()} for batch in batches]

    def open_anew() -> list[Any]:
        running = session(proto)
        return [lambda feed=feed: running.run([LOGITS], feed) for feed in feeds]

    return open_anew


def main() -> None:
    """Make all, race them, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("example", help=f"one of {', '.join(fitting())}")
    parser.add_argument("--skip", nargs="*", default=[], help="rows to leave out")
    parser.add_argument("--rounds", type=int, default=30)
    asked = parser.parse_args()
    if asked.example not in fitting():
        parser.error(
            f"{asked.example!r} is no example on CIFAR-10, whose shape the random pictures have, 3x32x32 in {CLASSES} "
            f"classes; allowed: {', '.join(fitting())}{nearest(asked.example, fitting())}"
        )
    torch.set_num_threads(1)
    plan, data = load_plan(ROOT / "params/examples" / asked.example / "plan.yaml"), noise()
    made, batches = graphs(plan, data, asked.skip), plan.bench.batch

    def go_on(laps: Mapping[str, Laps]) -> bool:
        return next(iter(laps.values())).rounds < asked.rounds

    laps = race({n: opener(g, data, batches) for n, g in made.items()}, len(batches), ROUND_MS, plan.seed, go_on)
    reference = laps[plan.choose.reference]
    print(f"| row | {' | '.join(f'latency ratio, batch {b}' for b in batches)} |\n| --- |{' --- |' * len(batches)}")
    for name, own in laps.items():
        pairs = zip(own.calls_ms, reference.calls_ms, strict=True)
        ratios = [median_interval(round_ratios(mine, theirs)) for mine, theirs in pairs]
        print(f"| {name} | {' | '.join(f'{r.value:.3f} [{r.low:.3f}, {r.high:.3f}]' for r in ratios)} |")


if __name__ == "__main__":
    main()
