"""Packages for the trouble to come: one control for all of them, and treatments that agree with it, or do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests import made_package

Array = np.ndarray[Any, Any]
CONTROL = made_package.WEIGHTS["control"]
IMAGES = np.random.default_rng(4).integers(0, 256, (64, 1, 8, 8), dtype=np.uint8)
ROLLOUT: dict[str, Any] = {
    "workers": 2,
    "treatment_share": 0.0,
    "shadow": {"share": 0.5, "queue": 64},
    "judge": {"p95_ms": 2500.0, "min_rows": 500},
    "stages": [],
}


def treatment(name: str, spoil: str = "") -> Array:
    """Weights (64, 3) that no other package has: the control's, a little changed; or quite others."""
    rng = np.random.default_rng(list(name.encode()))
    if spoil == "answers":
        return -CONTROL
    return (CONTROL * (1 + 1e-3 * rng.normal(size=CONTROL.shape))).astype(np.float32)


def shares(weights: Array, image: Array) -> Array:
    """The probabilities (3,) of one image, without ONNX Runtime."""
    logits = image.reshape(-1).astype(np.float64) @ weights.astype(np.float64)
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum())


def package(folder: Path, name: str, spoil: str = "") -> Path:
    """A sealed package whose treatment is called `name`; `spoil`: `answers` (other ones) or `byte` (changed since)."""
    made_package.make(folder, **ROLLOUT)
    (folder / "control.onnx").write_bytes(made_package.linear(CONTROL))
    (folder / "treatment.onnx").write_bytes(made_package.linear(treatment(name, spoil)))
    even = {label: 100 for label in made_package.LABELS}
    reference = {
        "rows": 300,
        "extremes": [0.0, 255.0],
        "features": {},
        "predicted": {"control": even, "treatment": even},
        "confidence": {"control": [15] * 20, "treatment": [15] * 20},
        "disagreement": {"rows": 300, "count": 1, "high": 0.02},
    }
    (folder / "reference.json").write_text(json.dumps(reference))
    made_package.seal(folder, name)
    if spoil == "byte":
        model = folder / "treatment.onnx"
        model.write_bytes(model.read_bytes()[:-1] + b"\0")
    return folder
