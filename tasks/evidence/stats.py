"""The statistics behind every published number: pure functions of arrays; randomness comes from a seed argument.

Calibration error: Guo et al. 2017, "On Calibration of Modern Neural Networks" (arXiv:1706.04599).
Shapes: N rows, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def softmax(logits: Array) -> Array:
    """Probabilities (N, C) of logits (N, C), in float64 and safe for large logits."""
    wide = logits.astype(np.float64)
    powers = np.exp(wide - wide.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def expected_calibration_error(probabilities: Array, labels: Array, bins: int = 15) -> float:
    """Gap between confidence and accuracy over equal-width bins (lower, upper], weighted by rows; 0 for no rows."""
    if len(labels) == 0:
        return 0.0
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bin_of = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(bin_of, weights=right.astype(np.float64) - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def confusion(labels: Array, predicted: Array, classes: int) -> Array:
    """Counts (C, C): row = true class, column = predicted class."""
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def recall_per_class(labels: Array, predicted: Array, classes: int) -> Array:
    """Recall (C,) of each class; NaN for a class with no rows."""
    counts = confusion(labels, predicted, classes)
    rows = counts.sum(axis=1)
    return np.where(rows > 0, np.diag(counts) / np.maximum(rows, 1), np.nan)


def macro_f1(labels: Array, predicted: Array, classes: int) -> float:
    """Mean F1 over the classes that occur among the labels or the predictions; 0 when there are none."""
    counts = confusion(labels, predicted, classes)
    both = counts.sum(axis=0) + counts.sum(axis=1)
    seen = both > 0
    return float(np.mean(2 * np.diag(counts)[seen] / both[seen])) if seen.any() else 0.0


def pareto_front(points: Mapping[str, Sequence[float]], maximise: Sequence[bool]) -> tuple[str, ...]:
    """Names of the points that no other beats, in the given order; of equal points all stay.

    One point beats another when it is nowhere worse and somewhere better. `maximise` says for each axis whether
    larger is better. A NaN is a ValueError: it compares with nothing and would pass as unbeaten.
    """
    signs = np.where(np.asarray(maximise), -1.0, 1.0)
    names = list(points)
    costs = np.array([points[name] for name in names], dtype=np.float64).reshape(len(names), len(signs)) * signs
    if np.isnan(costs).any():
        raise ValueError(f"NaN among the points {dict(points)}")
    beaten = [bool(((costs <= mine).all(axis=1) & (costs < mine).any(axis=1)).any()) for mine in costs]
    return tuple(name for name, lost in zip(names, beaten, strict=True) if not lost)
