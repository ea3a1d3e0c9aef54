"""INT8 files on processors without VNNI: what Stillroom predicts, beside what ONNX Runtime does on one.

    python benchmarks/portability.py [--qemu qemu-x86_64] > table.md

Two tables. Every kind of integer layer with random weights: how many of its outputs differ without VNNI, and whether
the prediction is right to the last bit. Then a network trained on scikit-learn's digits, quantized in several ways,
among them a planted one: on the negatives of the same pictures most inputs are 255, and pairs of them overflow.

With `--qemu` the very same files run under QEMU's user mode as on an Intel Haswell (AVX2, no VNNI); that is the truth
that the predictions are held against. Without it, predictions alone are printed.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from haswell import closeness, haswell, hit

from tasks.core.arrays import pick
from tasks.core.contract import Data, Graph
from tasks.core.export import export
from tasks.core.shape import build_like
from tasks.evidence.integer_layers import Arithmetic
from tasks.evidence.interpret import Interpreter, fused
from tasks.evidence.portability import judge
from tasks.sources import digits
from tasks.techniques import quantize, train
from tests.unit.int8_graphs import LAYERS

Array = np.ndarray[Any, Any]
NETWORKS: dict[str, dict[str, Any]] = {
    "static": {},
    "static, a scale a tensor": {"weights": "per_tensor"},
    "static, reduce_range": {"reduce_range": True},
    "dynamic": {"scheme": "dynamic"},
    "dynamic, reduce_range": {"scheme": "dynamic", "reduce_range": True},
    "planted, white background": {},
    "planted, white background, reduce_range": {"reduce_range": True},
}


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--qemu", help="qemu-x86_64 or qemu-x86_64-static, 7.2 or newer: it has AVX2")
    qemu = parser.parse_args().qemu
    with tempfile.TemporaryDirectory() as name:
        layers(Path(name), qemu)
        networks(Path(name), qemu)


def layers(folder: Path, qemu: str | None) -> None:
    """The table of single layers, weights uniform over -127..127."""
    print("| layer | outputs | sums clipped | outputs that change | equal to a Haswell's, bit for bit |")
    print("| --- | --- | --- | --- | --- |")
    for name, build in LAYERS.items():
        proto, x = build()
        path = folder / "layer.onnx"
        onnx.save(proto, str(path))
        model, saturating = fused(path), Arithmetic(True)
        exact = Interpreter(model).run({"x": x}, Arithmetic(False))
        other = Interpreter(model).run({"x": x}, saturating)
        clipped, changed = sum(saturating.clipped.values()), int((exact != other).sum())
        print(f"| {name} | {exact.size} | {clipped} | {changed} | {hit(other, haswell(qemu, path, x, 1))} |")


def networks(folder: Path, qemu: str | None) -> None:
    """The table of whole networks; predictions are for evenly spread rows of val, the truth for the same ones."""
    positive, negative = (trained(inverted) for inverted in (False, True))
    print(
        "\n| INT8 network | verdict | other class | moved by | accuracy | saturating | Haswell: same class | off by |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, params in NETWORKS.items():
        data, proto = negative if "planted" in name else positive
        val = data.split("val")
        small = quantize.apply(Graph(proto), data, quantize.Params(**params)).model.proto  # type: ignore[union-attr]
        path = folder / "network.onnx"
        onnx.save(small, str(path))
        one_by_one = params.get("scheme") == "dynamic"
        found = judge(path, val, 10**5, one_by_one)
        assert found is not None
        interpreter, x = Interpreter(fused(path)), val.inputs["images"][:]
        parts = np.array_split(x, len(x) if one_by_one else 1)
        exact, other = (
            np.concatenate([interpreter.run({"images": part}, Arithmetic(how)) for part in parts])
            for how in (False, True)
        )
        changed = "0 %" if found.disagreement is None else f"{found.disagreement:.1%} of {found.rows}"
        accuracies = [f"{(side.argmax(axis=1) == val.labels).mean():.1%}" for side in (exact, other)]
        truth = closeness(other, haswell(qemu, path, x, len(parts)))
        moved = f"{found.logits_difference or 0:.3f}"
        print(f"| {name} | {found.verdict} | {changed} | {moved} | {' | '.join(accuracies)} | {truth} |")


def trained(inverted: bool) -> tuple[Data, onnx.ModelProto]:
    """A small_cnn after 8 epochs, and its data."""
    data = rows_of_digits(inverted)
    torch.manual_seed(0)
    start = build_like({"arch": "small_cnn", "width": 16}, data)
    with contextlib.redirect_stdout(sys.stderr):  # the epochs
        return data, export(train.apply(start, data, train.Params(epochs=8, lr=0.05, batch=32)).model, data)  # type: ignore[arg-type]


def rows_of_digits(inverted: bool) -> Data:
    """scikit-learn's digits, or their negatives: 1197 rows to train on, 300 of val, 300 of test."""
    whole = digits.load()
    order = np.random.default_rng(0).permutation(len(whole.train))
    images = whole.train.inputs["images"][:]
    rows = replace(whole.train, inputs={"images": 255 - images if inverted else images})
    parts = {name: pick(rows, order[which]) for name, which in SPLITS.items()}
    mean = 177.0 if inverted else 78.0
    about = whole.preprocess.model_copy(update={"mean": (mean,), "std": (96.0,)})
    return replace(whole, preprocess=about, **parts)  # type: ignore[arg-type]


SPLITS = {
    "train": slice(0, 1197),
    "calibration": slice(0, 256),
    "val": slice(1197, 1497),
    "test": slice(1497, None),
}


if __name__ == "__main__":
    main()
