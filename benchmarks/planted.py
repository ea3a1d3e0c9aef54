"""Is planted harm found? One logit of a trained network is lowered until so much is lost, or it is never answered.

    python -m benchmarks.planted runs/fashion_mnist_7

The folder is one that benchmarks/seeds.py built. Nothing else is touched, so that the rest is the network's own
behaviour. The last line is a model that is not worse: the null case.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tasks import evaluate
from tasks.core import artifact
from tasks.core.contract import Data
from tasks.core.dataset import read_data
from tasks.core.findings import Harm
from tasks.evidence.session import OUTPUT, open_session, predict

Array = np.ndarray[Any, Any]
DROPS = (0.02, 0.01, 0.005, 0.002)  # of all rows' accuracy, from one class


def answers(model: onnx.ModelProto, data: Data) -> Array:
    """Logits (N, C) on test."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, str(path))
        return predict(open_session(path, 1), data.split("test"))


def shifted(model: onnx.ModelProto, classes: int, chosen: int, by: float) -> onnx.ModelProto:
    """A copy that answers `by` less for the class `chosen`."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for node in changed.graph.node:
        node.output[:] = ["before" if name == OUTPUT else name for name in node.output]
    shift = -by * (np.arange(classes) == chosen)
    changed.graph.initializer.append(numpy_helper.from_array(shift.astype(np.float32), "shift"))
    changed.graph.node.append(helper.make_node("Add", ["before", "shift"], [OUTPUT]))
    return changed


def least_shift(logits: Array, labels: Array, chosen: int, drop: float) -> float:
    """The smallest shift, to 1/1000, that costs `drop` of all rows' accuracy."""
    before = float((logits.argmax(axis=1) == labels).mean())
    low, high = 0.0, 100.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        moved = logits - middle * (np.arange(logits.shape[1]) == chosen)
        low, high = (low, middle) if before - (moved.argmax(axis=1) == labels).mean() >= drop else (middle, high)
    return high


def line(what: str, found: Harm) -> str:
    """One row of the table."""
    drop = found.accuracy_drop
    cells = [
        what,
        f"{100 * drop.value:.2f} [{100 * drop.low:.2f}, {100 * drop.high:.2f}]",
        f"{found.mcnemar_p:.1e}",
        ", ".join(f"{k} ({100 * found.recall_drop[k].value:.1f})" for k in found.hurt_classes) or "none",
        ", ".join(found.never_predicted) or "none",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Plant, judge, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="with artifacts/data, artifacts/baseline and artifacts/int8")
    parser.add_argument("--hurt", type=int, default=4, help="the class to hurt")
    asked = parser.parse_args()
    os.chdir(asked.folder)
    data, model = read_data(artifact.DATA), artifact.load_graph("baseline")
    split, name = data.split("test"), data.classes[asked.hurt]
    logits = answers(model, data)
    print("| planted | accuracy lost, points [95 %] | McNemar p | hurt classes (recall lost) | never answered |")
    print("| --- | --- | --- | --- | --- |")
    for drop in DROPS:
        shift = least_shift(logits, split.labels, asked.hurt, drop)
        mine = answers(shifted(model, len(data.classes), asked.hurt, shift), data)
        print(line(f"{100 * drop:g} points from {name}", evaluate.compare(mine, logits, split, data)))
    gone = answers(shifted(model, len(data.classes), asked.hurt, 1e4), data)
    print(line(f"{name} collapsed", evaluate.compare(gone, logits, split, data)))
    int8 = predict(open_session(artifact.variant_folder("int8") / "model.onnx", 1), split)
    print(line("nothing (INT8 of the same network)", evaluate.compare(int8, logits, split, data)))


if __name__ == "__main__":
    main()
