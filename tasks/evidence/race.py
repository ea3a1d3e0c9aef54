"""How long one ONNX model takes beside another: a ratio, measured here and now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.core.contract import Split
from tasks.evidence.timing import caller, measure, round_ratios

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

ROUND_MS = 10.0


def latency_ratio(
    model: InferenceSession, reference: InferenceSession, split: Split, *, batch: int, rounds: int, seed: int
) -> float:
    """The median over `rounds` of the model's median latency over the reference's, `batch` rows a call, in turns."""
    calls = {"model": caller(model, split, batch), "reference": caller(reference, split, batch)}
    taken = measure(calls, rounds, ROUND_MS, seed)
    return float(np.median(round_ratios(taken["model"], taken["reference"])))
