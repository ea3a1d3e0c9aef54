"""Which way rows take through a network with exits: a check of the stitched graph, and the facts for its card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx

from tasks.core.arrays import pick
from tasks.core.contract import Data, Facts
from tasks.core.exit_graph import answers
from tasks.core.export import LOGITS, PARITY_ROWS, at_every_level, session
from tasks.core.thresholds import NEVER, Calibrated, confidence, costs_at, leaves_at

Array = np.ndarray[Any, Any]
ROUNDING = 1e-4


def check(
    proto: onnx.ModelProto, segments: Sequence[onnx.ModelProto], thresholds: list[float], measure: str, data: Data
) -> None:
    """TechniqueError unless the stitched graph answers each row of val as the exit that it should leave at.

    At every level of optimization, against the segments at the same one.
    """
    val = data.split("val")
    some = pick(val, np.arange(min(PARITY_ROWS, len(val))))
    inputs = {name: np.asarray(rows[:]) for name, rows in some.inputs.items()}

    def difference(level: str) -> float:
        logits_KNC = answers(segments, some, level)
        (found_NC,) = session(proto, level).run([LOGITS], inputs)
        sure_EN = np.stack([confidence(logits, measure) for logits in logits_KNC[:-1]])
        expected_NC = logits_KNC[leaves_at(sure_EN, thresholds), np.arange(len(some))]
        # A row within rounding of a threshold may leave at either exit.
        clear = (np.abs(sure_EN - np.array(thresholds)[:, None]) > ROUNDING).all(axis=0)
        return float(np.abs(found_NC - expected_NC)[clear].max(initial=0) / expected_NC.std())

    at_every_level(difference, "early_exit: the stitched graph and its segments")


def described(names: list[str], best: Calibrated, logits_KNC: Array, macs: tuple[Array, Array], data: Data) -> Facts:
    """Facts by exit, the last called `end`; shares and accuracies are those on val."""
    right = (logits_KNC.argmax(axis=2) == data.split("val").labels).mean(axis=1)
    used = {name: t for name, t in zip(names, best.thresholds, strict=True) if t != NEVER}
    every, costs = [*names, "end"], costs_at(*macs, best.thresholds)
    return {
        "thresholds": {name: round(t, 6) for name, t in used.items()},
        "exits_cut_off": {n: "no threshold saves work within the budget" for n in names if n not in used},
        "exit_share": {n: round(s, 6) for n, s in zip(every, best.shares, strict=True) if n in used or n == "end"},
        "exit_accuracy": {n: round(float(a), 6) for n, a in zip(every, right, strict=True)},
        "exit_macs": {n: int(c) for n, c in zip(every, costs, strict=True) if n in used or n == "end"},
        "val_accuracy": round(best.accuracy, 6),
        "val_accuracy_of_the_end": round(float(right[-1]), 6),
    }
