"""When a row may leave a network early: how sure an exit is, and how sure it must be.

Teerapittayanon et al., *BranchyNet*, 2017 (arXiv:1709.01686) leave below an entropy; the probability of the top class
is the usual alternative. Shapes: E = early exits, K = E + 1 with the end, N = rows, C = classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]
MEASURES = ("max_probability", "entropy")
NEVER = 2.0
"""A threshold that no row reaches: confidences are at most 1."""
ALWAYS = -1.0
"""A threshold that every row reaches."""
CANDIDATES = 200


class Calibrated(NamedTuple):
    """One threshold an exit, and on the rows it was found on: accuracy, mean cost, and share of rows at each of K."""

    thresholds: list[float]
    accuracy: float
    cost: float
    shares: list[float]


def confidence(logits_NC: Array, measure: str) -> Array:
    """(N,) in 0..1: the top class's probability, or one minus the entropy over its largest value, log C."""
    shifted = (logits_NC - logits_NC.max(axis=1, keepdims=True)).astype(np.float32)
    logp = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    if measure == "max_probability":
        return np.asarray(np.exp(logp.max(axis=1)))
    return np.asarray(1 + (np.exp(logp) * logp).sum(axis=1) / np.log(logits_NC.shape[1]))


def leaves_at(sure_EN: Array, thresholds: Iterable[float]) -> Array:
    """(N,) the first exit whose threshold the row reaches, or E: the end."""
    reached = sure_EN >= np.asarray(list(thresholds), np.float32)[:, None]
    return np.where(reached.any(axis=0), reached.argmax(axis=0), len(sure_EN))


def costs_at(layers_K: Array, heads_E: Array, thresholds: Iterable[float]) -> Array:
    """(K,) what a row costs that leaves at each of K: the layers before it, and the heads it passed that are in use."""
    used = np.array([t != NEVER for t in thresholds])
    heads = np.cumsum(heads_E * used)
    return np.asarray(layers_K + np.append(heads, heads[-1]))


def calibrate(sure_EN: Array, right_KN: Array, layers_K: Array, heads_E: Array, accuracy_budget: float) -> Calibrated:
    """The thresholds of the least mean cost whose accuracy is at most `accuracy_budget` below that of the end.

    `layers_K` is what the layers up to each exit cost, `heads_E` what each early exit's own head does.

    First the best threshold that all exits share; then each exit's own in turn, while the cost still falls. Between
    neighbouring confidences the middle is taken; of many, `CANDIDATES` quantiles.
    """
    floor = float(right_KN[-1].mean()) - accuracy_budget - 1e-12
    options = [_candidates(sure) for sure in sure_EN]

    def tried(thresholds: list[float]) -> Calibrated:
        at = leaves_at(sure_EN, thresholds)
        shares = np.bincount(at, minlength=len(right_KN)) / len(at)
        right = float(right_KN[at, np.arange(len(at))].mean())
        return Calibrated(
            thresholds, right, float(costs_at(layers_K, heads_E, thresholds) @ shares), [float(s) for s in shares]
        )

    def better(found: Calibrated, best: Calibrated) -> bool:
        return found.accuracy >= floor and found.cost < best.cost - 1e-9 * best.cost

    best = tried([NEVER] * len(sure_EN))
    for value in sorted({v for each in options for v in each}):
        if better(found := tried([value] * len(sure_EN)), best):
            best = found
    improved = True
    while improved:
        improved = False
        for exit_, values in enumerate(options):
            for value in values:
                own = [value if e == exit_ else t for e, t in enumerate(best.thresholds)]
                if better(found := tried(own), best):
                    best, improved = found, True
    return best


def _candidates(sure_N: Array) -> list[float]:
    """Values between neighbouring confidences, ascending, between ALWAYS and NEVER."""
    distinct = np.unique(sure_N)
    middles = (distinct[1:] + distinct[:-1]) / 2
    if len(middles) > CANDIDATES:
        middles = np.quantile(middles, np.linspace(0, 1, CANDIDATES), method="nearest")
    return [ALWAYS, *map(float, middles), NEVER]
