"""How two models' answers to the same rows differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
LEAST = 1e-12  # a probability that float32 rounds to 0 would make the divergence infinite


@dataclass(frozen=True)
class Agreement:
    """`flips` counts rows whose label changed, by the label that the first model gave; `kl_sum` is in nats."""

    rows: int
    agreed: int
    kl_sum: float
    flips: Mapping[str, int]


def compare(control: Array, treatment: Array, labels: Sequence[str]) -> Agreement:
    """Probabilities (N, C) of two models: same labels, and the sum over rows of KL(control || treatment).

    Kullback and Leibler 1951, On Information and Sufficiency. ValueError for a value that is not finite.
    """
    if not (np.isfinite(control).all() and np.isfinite(treatment).all()):
        raise ValueError("an answer that is not finite cannot be compared")
    first, second = control.argmax(axis=-1), treatment.argmax(axis=-1)
    flipped = np.bincount(first[first != second], minlength=len(labels))
    p, q = (np.maximum(shares.astype(np.float64), LEAST) for shares in (control, treatment))
    divergence = float((p * np.log(p / q)).sum())
    flips = {label: int(n) for label, n in zip(labels, flipped, strict=True) if n}
    return Agreement(len(first), int((first == second).sum()), max(0.0, divergence), flips)
