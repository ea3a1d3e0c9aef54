"""reference.json of a package: what val looks like to the service, and how the two models answer it.

The service counts the same features of live rows over the same bins, so that drift is a comparison of counts. What it
needs for that is defined here once more (serving imports nothing of tasks); a test holds the two together.

Features of a row of numbers: `mean`, `spread` (standard deviation) and `extremes` (share of its values at or beyond the
least and greatest of all), over at most 512 of its values, evenly dealt. Of a text: `tokens`, and `unknown` (share of
tokens that the vocabulary lacks). Bins are deciles. Shapes: N = rows, F = values a row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import gcd
from typing import Any

import numpy as np

from tasks.core.arrays import batches, pick
from tasks.core.contract import Data, Split
from tasks.core.errors import ArtifactError
from tasks.core.preprocess import TEXT_INPUTS, TOKENIZER
from tasks.core.results import Quality
from tasks.evidence.stats import softmax

Array = np.ndarray[Any, Any]
ROWS = 2000  # of val at most, evenly dealt
VALUES = 512
CONFIDENCE_BINS = 20


def rows_of(data: Data) -> Split:
    """The rows of val that the reference is made of."""
    val = data.split("val")
    return pick(val, np.unique(np.linspace(0, len(val) - 1, min(len(val), ROWS)).astype(np.int64)))


def reference(data: Data, rows: Split, logits: Mapping[str, Array], agreement: Quality) -> dict[str, Any]:
    """The content of reference.json.

    Args:
        data: For its classes, its kind and its tokenizer.
        rows: Those of val that were answered.
        logits: (N, C) by role, of those rows.
        agreement: The treatment's quality on all of val, against the control.
    """
    extremes, unknown, found = None, None, {}
    if data.preprocess.kind == "text":
        unknown = unknown_id(data.files[TOKENIZER]) if TOKENIZER in data.files else None
        found = texts(rows, unknown)
    else:
        extremes, found = numbers(rows)
    return {
        "rows": len(rows),
        "extremes": extremes,
        "unknown": unknown,
        "features": {name: bins(values) for name, values in found.items()},
        "predicted": {role: _predicted(given, data) for role, given in logits.items()},
        "confidence": {role: _confidence(given) for role, given in logits.items()},
        "disagreement": expected(agreement),
    }


def numbers(rows: Split) -> tuple[tuple[float, float], dict[str, Array]]:
    """The least and greatest value, and each feature (N,); ArtifactError for rows of several arrays."""
    if len(rows.inputs) > 1:
        raise ArtifactError(f"the data have the inputs {', '.join(rows.inputs)}; the service feeds exactly one")
    dealt = []
    for inputs, _ in batches(rows, 256):
        (given,) = inputs.values()
        flat = np.asarray(given).reshape(len(given), -1)
        step = -(-flat.shape[1] // VALUES)
        while gcd(step, flat.shape[1]) != 1:
            step += 1
        dealt.append(flat[:, ::step])
    values_NF = np.concatenate(dealt)
    low, high = float(values_NF.min()), float(values_NF.max())
    as_float = values_NF.astype(np.float32)
    n = as_float.shape[1]
    mean = np.add.reduce(as_float, axis=1) / n
    spread = np.sqrt(np.maximum(np.einsum("ij,ij->i", as_float, as_float) / n - mean * mean, 0))
    at_ends = np.count_nonzero(values_NF <= low, axis=1) + np.count_nonzero(values_NF >= high, axis=1)
    return (low, high), {"mean": mean, "spread": spread, "extremes": at_ends / n}


def texts(rows: Split, unknown: int | None) -> dict[str, Array]:
    """Each feature (N,)."""
    ids, mask = (np.concatenate([np.asarray(b[name]) for b, _ in batches(rows, 256)]) for name in TEXT_INPUTS)
    tokens = mask.sum(axis=1)
    if unknown is None:
        return {"tokens": tokens}
    return {"tokens": tokens, "unknown": ((ids == unknown) & (mask != 0)).sum(axis=1) / np.maximum(tokens, 1)}


def bins(values: Array) -> dict[str, list[float] | list[int]]:
    """Edges at the deciles of `values` (N,), and the counts between them: x <= first edge, ..., x > last edge.

    Where the least value fills the first bin alone, a bin for less than that stands before it.
    """
    edges = np.unique(np.quantile(values.astype(np.float64), np.arange(1, 10) / 10, method="inverted_cdf"))
    if edges[0] == values.min():
        edges = np.concatenate([[np.nextafter(edges[0], -np.inf)], edges])
    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def expected(agreement: Quality) -> dict[str, float | int]:
    """Rows, disagreements, and the one-sided 95 % upper bound of their share (Clopper & Pearson 1934)."""
    from scipy.stats import beta

    n = agreement.rows
    k = round((1 - agreement.agreement) * n)
    return {"rows": n, "count": k, "high": 1.0 if k == n else float(beta.ppf(0.95, k + 1, n - k))}


def unknown_id(tokenizer: bytes) -> int | None:
    """The id of the token that stands for what the vocabulary lacks; None for a tokenizer that lacks nothing."""
    about = json.loads(tokenizer)
    model = about.get("model", {})
    if isinstance(model.get("unk_id"), int):
        return int(model["unk_id"])
    token, vocabulary = model.get("unk_token"), model.get("vocab")
    known = dict(vocabulary) if isinstance(vocabulary, dict) else {}
    known |= {one["content"]: one["id"] for one in about.get("added_tokens") or ()}
    found = known.get(token)
    return None if found is None else int(found)


def _predicted(logits: Array, data: Data) -> dict[str, int]:
    counts = np.bincount(logits.argmax(axis=1), minlength=len(data.classes))
    return {str(label): int(count) for label, count in zip(data.classes, counts, strict=True)}


def _confidence(logits: Array) -> list[int]:
    shares = softmax(logits).max(axis=1)
    place = np.minimum((shares * CONFIDENCE_BINS).astype(np.int64), CONFIDENCE_BINS - 1)
    return [int(count) for count in np.bincount(place, minlength=CONFIDENCE_BINS)]
