"""ONNX Runtime as on an Intel Haswell (AVX2, no VNNI), under QEMU's user mode, and comparisons with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
ASK = """
import sys, numpy as np, onnxruntime as ort
session = ort.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
x = np.load(sys.argv[2])
name = session.get_inputs()[0].name
np.save(sys.argv[3], np.concatenate([session.run(None, {name: row})[0] for row in np.array_split(x, int(sys.argv[4]))]))
"""


def haswell(qemu: str | None, path: Path, x: Array, parts: int) -> Array | None:
    """What ONNX Runtime answers on a Haswell; None without QEMU."""
    if qemu is None:
        return None
    given, found = path.with_name("x.npy"), path.with_name("y.npy")
    np.save(given, x)
    files = [str(path), str(given), str(found), str(parts)]
    subprocess.run([qemu, "-cpu", "Haswell", sys.executable, "-c", ASK, *files], check=True, capture_output=True)
    return np.asarray(np.load(found))


def hit(predicted: Array, truth: Array | None) -> str:
    """The share of values that equal the truth, bit for bit."""
    return "not run" if truth is None else f"{np.mean(predicted == truth):.2%}"


def closeness(predicted: Array, truth: Array | None) -> str:
    """Two cells: rows with the same class, and the largest difference of a logit over how much logits vary.

    Where layers stay in float, those round otherwise on another processor as well.
    """
    if truth is None:
        return "not run | not run"
    same = np.mean(predicted.argmax(axis=1) == truth.argmax(axis=1))
    return f"{same:.1%} | {np.abs(predicted - truth).max() / predicted.std(axis=0).max():.1e}"
